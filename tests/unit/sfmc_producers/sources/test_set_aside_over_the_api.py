"""A source without Redis keeps its message until the server has what cannot be read."""

from structlog.testing import capture_logs

from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.request import BadRequestError
from sfmc_producers.sources.dead_letters import ApiDeadLetters
from sfmc_producers.sources.intake import SentBack


class Api:
    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.kept: list[tuple[str, str, bytes, str]] = []

    def set_aside(self, source: str, record_id: str, body: bytes, text: str) -> None:
        if self.error is not None:
            raise self.error
        self.kept.append((source, record_id, body, text))


def test_what_cannot_be_read_is_kept_there_and_nothing_is_sent_back_here() -> None:
    api = Api()
    letters = ApiDeadLetters(api)

    assert letters.add("drop", "m1", b"{", "it is not JSON")
    assert api.kept == [("drop", "m1", b"{", "it is not JSON")]
    assert letters.replayed("drop") == []
    letters.done("drop", SentBack("1-0", b"{", b"{"))


def test_while_the_server_does_not_take_it_the_message_stays() -> None:
    assert ApiDeadLetters(Api(ServiceUnavailableError("away"))).add("drop", "m1", b"{", "it is not JSON") is False


def test_what_the_server_refuses_for_good_is_let_go_and_the_log_says_so() -> None:
    with capture_logs() as lines:
        assert ApiDeadLetters(Api(BadRequestError(["too large"]))).add("drop", "m1", b"{", "it is not JSON")

    assert [(line["event"], line["record"], line["reason"]) for line in lines] == [
        ("record_not_kept", "m1", "too large")
    ]

"""The life of a request is asked for until its end, through outages, and for a limited time."""

from typing import Any

import pytest

from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.events import kind
from sfmc_import.operations.errors import NotFoundError
from sfmc_import.operations.views import LifeView
from sfmc_import.operations.watching import events_until_end


def life(state: str, *kinds: str, is_finished: bool = False, **last: Any) -> LifeView:
    events: list[dict[str, Any]] = [
        {"stream_id": f"{number}-0", "type": f"sfmc.import.{name}", "data": {}} for number, name in enumerate(kinds)
    ]
    if events:
        events[-1]["data"] |= last
    fields: dict[str, Any] = dict.fromkeys(("accepted_at", "since", "file", "waiting"))
    about = {"request_id": "r", "state": state, "is_finished": is_finished, "mid": "7", "customer_key": "k"}
    return LifeView(**about, **fields, attempt=0, next=[], events=events)


class Asked:
    """Answers of `show` by request, in turn; counts the pauses."""

    def __init__(self, **answers: list[LifeView | Exception]) -> None:
        self.answers = answers
        self.now = 0.0
        self.said: list[str] = []

    def show(self, request_id: str) -> LifeView:
        found = self.answers[request_id]
        answer = found.pop(0) if len(found) > 1 else found[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def events(self, within: float | None = None) -> list[str]:
        given: Any = {"on_outage": self.said.append, "sleep": self.sleep, "clock": lambda: self.now}
        return [kind(each) for each in events_until_end(self.show, "r", within=within, **given)]


def test_each_event_is_given_once_until_the_end_and_an_outage_is_said_once() -> None:
    away = ServiceUnavailableError("away")
    ended = life("completed", "accepted", "started", "completed", is_finished=True)
    asked = Asked(r=[life("accepted", "accepted"), away, away, life("started", "accepted", "started"), ended])

    assert asked.events() == ["accepted", "started", "completed"]
    assert (asked.said, asked.now) == (["away"], 4.0)


def test_it_ends_after_the_given_time() -> None:
    asked = Asked(r=[life("accepted", "accepted")])

    assert asked.events(within=2.5) == ["accepted"]
    assert asked.now == 2.5


def test_a_request_that_is_not_there_is_an_error_at_once() -> None:
    with pytest.raises(NotFoundError):
        Asked(r=[NotFoundError("none")]).events()


@pytest.mark.parametrize(
    ("holder", "pauses"),
    [
        ([life("starting"), ServiceUnavailableError("away"), life("started")], 2),
        ([life("completed", is_finished=True)], 0),
        ([NotFoundError("gone")], 0),
    ],
)
def test_a_duplicate_that_may_be_taken_up_ends_with_the_start_of_the_other(holder: list[Any], pauses: int) -> None:
    duplicate = life("duplicate", "accepted", "duplicate", is_finished=True, final=False, held_by="h")
    asked = Asked(r=[duplicate], h=holder)

    assert asked.events() == ["accepted", "duplicate"]
    assert asked.now == pauses

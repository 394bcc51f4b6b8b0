"""Which events a notification is about, and what is said of them in each form."""

from datetime import UTC, datetime, timedelta

import orjson
import pytest

from sfmc_import.events.typed import ImportEvent
from sfmc_import.notifications.chat import MAX_CARD_BYTES, slack_message, teams_message
from sfmc_import.notifications.choosing import is_wanted
from sfmc_import.notifications.mail import Mailbox, mail
from sfmc_import.notifications.messages import Message, of_events, of_outage, of_redis, of_test, plain_id
from sfmc_import.notifications.outages import Outage, read_outages, turn_of
from sfmc_import.redaction import KNOWN
from sfmc_import.settings.notify_table import WORTH_KNOWING
from sfmc_import.states import FAILED
from tests.unit.sfmc_import.notifications.an_event import event

NOW = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
BOX = Mailbox(host="h", port=25, security="none", sender="a@b.c", to=("x@y.z", "p@q.r"))


@pytest.mark.parametrize(
    ("name", "names", "keys", "expected"),
    [
        ("import_failed", ["import_failed"], ["*"], True),
        ("operator.paused", ["operator.*"], ["*"], True),
        ("started", ["operator.*", "comp*"], ["*"], False),
        ("import_failed", ["*"], ["DAILY "], True),
        ("import_failed", ["*"], ["week*", "d?ily"], True),
        ("import_failed", ["*"], ["dail"], False),
    ],
)
def test_events_are_chosen_by_name_and_key(name: str, names: list[str], keys: list[str], expected: bool) -> None:
    assert is_wanted(event(1, name), names, keys) is expected


def test_every_end_that_a_person_should_know_of_is_said_without_being_asked_for() -> None:
    assert set(FAILED) <= set(WORTH_KNOWING)


def test_the_message_of_one_event_is_that_event_and_has_its_id() -> None:
    one = event(1, code="9", text="broken")
    message = of_events([one], 20)

    assert message.id == "r1/1/import_failed"
    assert message.cloud_event == one.cloud_event
    assert message.title == "sfmc-import: import_failed daily (a.csv)"
    (line,) = message.lines
    assert line.startswith("2026-03-01 06:00:00 UTC  import_failed  daily  a.csv  code 9  broken  request r1; correct ")
    assert line.endswith(": sfmc-import replay r1")


def test_a_digest_shows_so_many_events_and_counts_the_rest() -> None:
    events = [event(number, "rejected" if number % 2 else "import_failed") for number in range(500)]
    message = of_events(events, 20)

    assert message.title == "sfmc-import: 500 events: 250 import_failed, 250 rejected"
    assert len(message.lines) == 21
    assert message.lines[-1] == "and 480 more"
    assert len(message.cloud_event["data"]["events"]) == 20
    assert message.cloud_event["data"]["more"] == 480
    assert message.id == of_events(events, 20).id != of_events(events[:-1], 20).id


@pytest.mark.parametrize("identity", ["a.b/1/started", "ä", "x" * 300, "a b"])
def test_an_id_that_a_signature_could_misread_is_replaced_by_a_digest(identity: str) -> None:
    assert len(plain_id(identity)) == 32
    assert plain_id(identity) == plain_id(identity)


def test_text_from_outside_is_one_line_without_what_steers_a_reader_and_without_secrets() -> None:
    KNOWN.learn("a-secret-of-this-test")
    wild = event(1, text="a\r\nBcc: x@y.z \x1b[31m \u202e a-secret-of-this-test", key="k\ney")
    message = of_events([wild, event(2)], 20)

    for text in (*message.lines, message.title, of_events([wild], 1).title):
        assert text.isprintable()
        assert "a-secret-of-this-test" not in text


@pytest.mark.parametrize("text", ["short", "t" * 4000])
def test_a_command_that_is_advised_is_whole_however_long_the_text_before_it_is(text: str) -> None:
    file = {"location": f"/in/{'d' * 200}", "name": f"{'n' * 200}.csv"}
    (line,) = of_events([event(1, "rejected", code="43010", text=text, file=file)], 20).lines

    assert line.endswith(f"sfmc-import start KEY --mid MID --file /in/{'d' * 200}/{'n' * 200}.csv")
    assert len(line) < 1000


def test_a_command_that_is_too_long_for_a_message_is_left_out_and_the_request_named() -> None:
    (line,) = of_events([event(1, "rejected", code="43010", file={"location": "/in", "name": "n" * 3000})], 20).lines

    assert line.endswith("  request r1")
    assert "sfmc-import" not in line


def test_a_message_to_slack_escapes_what_slack_reads() -> None:
    wild = event(1, key="<!channel>", text="a & b <http://x|y>" + "<" * 4000)
    message = slack_message(of_events([wild], 20))

    texts = [block["text"]["text"] for block in message["blocks"]]
    assert all(len(text) <= 3000 for text in texts)
    assert "<" not in "".join(texts) + message["text"]
    assert "&lt;!channel&gt;" in message["text"]
    assert "a &amp; b" in texts[1]
    assert {block["text"]["verbatim"] for block in message["blocks"]} == {True}


def test_a_message_to_slack_has_no_more_blocks_than_slack_takes() -> None:
    message = slack_message(of_events([event(number) for number in range(100)], 100))

    assert len(message["blocks"]) == 50
    assert message["blocks"][-1]["text"]["text"] == "… the rest is left out"


def test_a_card_for_teams_shows_text_as_it_is_and_fits() -> None:
    wild = [event(number, text="[click](http://x) *b*" + "ä" * 600) for number in range(100)]
    body = teams_message(of_events(wild, 100))

    assert len(body) <= MAX_CARD_BYTES
    card = orjson.loads(body)["attachments"][0]
    assert card["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert {block["type"] for block in card["content"]["body"]} == {"RichTextBlock"}
    assert "[click](http://x)" in card["content"]["body"][1]["inlines"][0]["text"]
    assert card["content"]["body"][-1]["inlines"][0]["text"] == "… the rest is left out"


def test_the_headers_of_a_mail_hold_one_line_each_and_its_id_stays() -> None:
    wild = event(1, key="k\r\nBcc: evil@example.com", text="ü")
    made = mail(of_events([wild], 20), BOX)
    raw = bytes(made)

    assert b"\nBcc" not in raw
    assert made["To"] == "x@y.z, p@q.r"
    assert made["Auto-Submitted"] == "auto-generated"
    assert made["Message-ID"] == mail(of_events([wild], 20), BOX)["Message-ID"]
    assert made.get_content_type() == "text/plain"
    assert "ü" in made.get_content()


@pytest.mark.parametrize(
    "said",
    [
        event(2, "started", matched="operator", operator="ann"),
        event(2, "progressed", resumed=True),
        event(2, "settled", why="operator"),
        event(2, "not_started", operator="ann"),
    ],
)
def test_what_an_operator_says_during_an_outage_does_not_end_it(said: ImportEvent) -> None:
    assert turn_of(said, {"7": Outage(mid="7", id="x", since="", code="17", text="")}) is None


@pytest.mark.parametrize(
    "answer",
    [event(2, "started", matched="reconciled"), event(2, "progressed", import_status="Processing")],
)
def test_an_answer_of_marketing_cloud_ends_an_outage(answer: ImportEvent) -> None:
    turn = turn_of(answer, {"7": Outage(mid="7", id="x", since="", code="17", text="")})

    assert turn is not None
    assert turn.kind == "over"


def test_a_test_message_says_that_nothing_happened() -> None:
    message = of_test("ops", "1", NOW)

    assert message.cloud_event["type"] == "sfmc.import.notification.test"
    assert message.lines == ("This is a test of the notification ops. Nothing has happened.",)


def test_an_outage_begins_goes_on_and_ends() -> None:
    began = turn_of(event(1, "retrying", code="login_failed", text="no"), {})
    assert began is not None
    assert (began.kind, began.outage.code, began.outage.since) == ("began", "login_failed", "2026-03-01T06:00:00Z")
    known = {"7": began.outage}
    goes_on = turn_of(event(2, "retrying", code="17"), known)
    assert goes_on is not None
    assert (goes_on.kind, goes_on.outage.attempts, goes_on.outage.id) == ("goes_on", 2, "r1/1/retrying")
    over = turn_of(event(3, "started"), known)
    assert over is not None
    assert over.kind == "over"


@pytest.mark.parametrize(
    "other",
    [
        event(1, "retrying", code="timeout"),
        event(1, "rejected", code="login_failed"),
        event(1, "started"),
        event(1, "started", mid="8"),
        event(1, "rejected"),
    ],
)
def test_other_events_say_nothing_about_an_outage(other: object) -> None:
    known = {"9": Outage(mid="9", id="x", since="", code="17", text="")}

    assert turn_of(other, known) is None  # type: ignore[arg-type]


def test_what_is_remembered_of_an_outage_is_read_again() -> None:
    outage = Outage(mid="7", id="x", since="s", code="17", text="t", attempts=3)

    assert read_outages({b"7": outage.as_text().encode(), b"8": b"{}", b"9": b"no", b"10": b"[]"}) == {"7": outage}


def test_the_messages_of_an_outage_are_the_same_however_often_they_are_made() -> None:
    outage = Outage(mid="7", id="x", since="2026", code="17", text="throttled", attempts=480)
    began, over = (of_outage(outage, NOW, is_over=each) for each in (False, True))

    assert "throttled" in began.lines[0]
    assert "480 attempts failed" in over.lines[0]
    assert began.id != over.id
    assert began.id == of_outage(outage, NOW + timedelta(hours=1), is_over=False).id


def test_the_messages_of_redis_name_since_when() -> None:
    began, over = (of_redis(NOW, NOW, "refused", is_over=each) for each in (False, True))

    assert began.lines[0].startswith("Since 2026-03-01T06:00:00Z: refused. Nothing is started")
    assert began.id != over.id
    assert isinstance(over, Message)

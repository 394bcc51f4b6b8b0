"""What a source says of itself: that it does not answer and since when, what waits, and that a person must act."""

from collections.abc import Callable

from sfmc_producers.notifications import Wakeup
from sfmc_producers.sources.receiving import SourceRefusedError, SourceUnavailableError
from sfmc_producers.sources.running import SourceThread
from sfmc_producers.sources.standing import DELIVERY, LET_GO, SCAN, Standing, describe_all
from sfmc_producers.stability import WaitingFile
from sfmc_producers.undecided import UNANSWERED
from tests.unit.sfmc_producers.sources.test_keeping import Box, Clock, Intake, receiver


def described(standing: Standing, now: float) -> dict[str, object]:
    [found] = describe_all({"drop": standing}, now)
    return found


def test_a_source_that_has_said_nothing_is_not_described() -> None:
    assert describe_all({"drop": Standing()}, 0.0) == []


def test_what_waits_and_the_last_look_are_described() -> None:
    clock = Clock()
    standing = Standing("sftp://host/in", clock)
    standing.looked(files=[WaitingFile(name="a.csv", reason="growing", since=-5.0)], more=2)

    assert described(standing, 10.0) == {
        "folder": "source drop (sftp://host/in)", "location": "source:drop", "state": "watched", "looked": 10.0,
        "files": [{"name": "a.csv", "reason": "growing", "age": 15.0}], "more": 2,
    }  # fmt: skip


def test_it_does_not_answer_since_the_first_failure_until_it_is_answered() -> None:
    clock = Clock()
    standing = Standing(clock=clock)
    for _ in range(2):
        standing.failed("no route to host")
        clock.pass_by(60)
    found = described(standing, clock.now)
    standing.looked()

    assert {name: found[name] for name in ("state", "age", "text")} == {
        "state": "unreachable", "age": 120.0, "text": "no route to host",
    }  # fmt: skip
    assert described(standing, clock.now)["state"] == "watched"


def test_it_says_when_it_is_asked_again_until_it_is_answered() -> None:
    clock = Clock()
    standing = Standing(clock=clock)
    for pause in (1.0, 30.0):
        standing.failed("no route to host", again_in=pause)
        clock.pass_by(10)
    found, later = described(standing, clock.now), described(standing, clock.now + 60)
    standing.looked()

    assert (found["age"], found["again"], later["again"]) == (20.0, 20.0, 0.0)
    assert "again" not in described(standing, clock.now)


def test_a_part_that_fails_is_seen_beside_one_that_is_answered_until_the_source_begins_anew() -> None:
    standing = Standing()
    standing.failed("scan: no right", SCAN)
    standing.looked()
    assert described(standing, 0.0)["state"] == "unreachable"
    standing.begin()

    assert described(standing, 0.0)["state"] == "watched"


def test_files_that_are_not_moved_or_delivered_are_said_after_a_source_that_is_silent() -> None:
    standing = Standing()
    standing.failed("no space", LET_GO, again_in=5.0, state="full")
    assert described(standing, standing.clock())["state"] == "full"
    standing.failed("target ftp: no route", DELIVERY, state="undelivered")
    assert described(standing, standing.clock())["state"] == "undelivered"
    standing.failed("no answer")
    assert described(standing, standing.clock())["state"] == "unreachable"
    standing.looked(more=1)
    assert described(standing, standing.clock())["state"] == "undelivered"
    standing.looked()
    assert described(standing, standing.clock())["state"] == "full"
    standing.well(LET_GO)

    assert described(standing, standing.clock())["state"] == "watched"


class Fails:
    """A source that ends like this."""

    name = "drop"

    def __init__(self, error: Exception) -> None:
        self._error = error

    def run(self, wakeup: Wakeup) -> None:
        wakeup.stop()
        raise self._error


def ended(error: Exception) -> dict[str, object]:
    standing = Standing()
    SourceThread(Fails(error), standing, lambda: None, lambda: 0.0).run()
    return described(standing, 0.0)


def test_a_refused_source_says_that_a_person_must_act_and_a_defect_names_itself() -> None:
    refused, broken = ended(SourceRefusedError("another host key")), ended(ValueError("odd"))

    assert (refused["state"], refused["text"]) == ("refused", "another host key")
    assert (broken["state"], broken["text"]) == ("unreachable", "ValueError: odd; the log has more")
    assert ("again" in refused, "again" in broken) == (False, True)


class Silent(Box):
    """A queue that does not answer once, and is read to its end then."""

    def __init__(self, wakeup: Wakeup, seen: Callable[[], None]) -> None:
        super().__init__(wakeup)
        self._seen, self._is_first = seen, True

    def receive(self) -> list:  # type: ignore[type-arg]
        if self._is_first:
            self._is_first = False
            raise SourceUnavailableError("queue does not answer")
        self._seen()
        return list(super().receive())


def test_a_receiver_says_that_its_queue_does_not_answer_and_that_it_is_answered_again() -> None:
    wakeup, intake, said = Wakeup(), Intake(), list[dict[str, object]]()
    box = Silent(wakeup, lambda: said.append(described(intake.standing, 0.0)))
    receiver(intake, box).run(wakeup)

    assert [(each["state"], "again" in each) for each in said] == [("unreachable", True)]
    assert described(intake.standing, 0.0)["state"] == "watched"


def test_a_file_for_which_the_definitions_are_asked_for_waits_for_them_as_soon_as_that_takes_long() -> None:
    clock = Clock()
    standing = Standing(clock=clock)
    with standing.asking("a.csv"):
        clock.pass_by(4.9)
        assert describe_all({"drop": standing}, clock.now) == []
        clock.pass_by(0.1)
        before = standing.state
        found = described(standing, clock.now)
    assert describe_all({"drop": standing}, clock.now) == []

    assert found["files"] == [
        {"name": "a.csv", "reason": "unavailable", "age": 5.0, "code": "read_timeout", "text": UNANSWERED}
    ]
    assert standing.state != before


def test_a_file_that_could_not_be_taken_before_says_still_what_failed_while_it_is_asked_for_again() -> None:
    clock = Clock()
    standing = Standing(clock=clock)
    failed = WaitingFile(name="a.csv", reason="unavailable", since=0.0, text="HTTP 503", code="http_503")
    standing.looked(files=[failed, WaitingFile(name="b.csv", reason="growing", since=0.0)])
    with standing.asking("a.csv"):
        clock.pass_by(60)
        known = described(standing, clock.now)
    with standing.asking("b.csv"):
        clock.pass_by(60)
        new = described(standing, clock.now)

    assert [(each["name"], each.get("code")) for each in known["files"]] == [("a.csv", "http_503"), ("b.csv", None)]  # type: ignore[attr-defined]
    assert [each.get("code") for each in new["files"]] == ["http_503", "read_timeout"]  # type: ignore[attr-defined]

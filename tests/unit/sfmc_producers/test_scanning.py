"""A scan takes what has no request yet, one after the other; and it runs beside its source."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

import click
import pytest
from structlog.testing import capture_logs

from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.request import FileInfo
from sfmc_producers.delivery.records import Held
from sfmc_producers.notifications import Wakeup
from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.sources.intake import Intake
from sfmc_producers.sources.questions import read_since
from sfmc_producers.sources.receiving import SourceRefusedError, SourceUnavailableError
from sfmc_producers.sources.scanning import MOST_UNDER_WAY, Found, Listable, Scan, ScannedSource, submit_with
from sfmc_producers.submitter import RoutingRules, Submitter
from tests.support.waiting import eventually

NOW = 1_800_000_000.0
DAY = 86_400.0


class Listed:
    """A source that lists what it is given; an error in the list is raised in its place."""

    def __init__(self, *arrivals: Arrival | Exception) -> None:
        self.arrivals, self.lists, self.yielded = arrivals, 0, 0

    def list_arrivals(self) -> Iterator[Arrival]:
        self.lists += 1
        for each in self.arrivals:
            if isinstance(each, Exception):
                raise each
            self.yielded += 1
            yield each


def arrival(name: str = "contacts.csv", version: str = "v1", changed_at: float | None = None, **file) -> Arrival:
    return Arrival(file=FileInfo(location="s3://drop", name=name, version=version, **file), changed_at=changed_at)


def intake_of(client) -> Intake:
    rules = RoutingRules(definitions=client)
    return Intake("drop", Submitter(client, rules, lambda: 0.0, lambda: datetime(2026, 3, 7, tzinfo=UTC)))


def scan(client, *arrivals: Arrival | Exception, since: float | None = None):
    made = Scan(Listed(*arrivals), submit_with(intake_of(client)), since)
    return made, [(each.what, each.file.name) for each in made.run()]


def test_a_second_scan_of_the_same_files_submits_nothing_new(client) -> None:
    files = [arrival(), arrival("orders.csv"), arrival(version="v2"), arrival("unknown.csv")]
    first, found = scan(client, *files)
    second, again = scan(client, *files, *files)

    assert (found, again) == ([("new", "contacts.csv"), ("new", "orders.csv"), ("new", "contacts.csv")], [])
    assert (first.counts.new, first.counts.unmatched) == (3, 1)
    assert (second.counts.seen, second.counts.known, second.counts.unmatched) == (8, 6, 2)
    assert len(client.requests) == 3


def test_files_are_taken_while_they_are_listed(client) -> None:
    listed = Listed(*(arrival(version=str(number)) for number in range(1000)))
    for number, _ in enumerate(Scan(listed, submit_with(intake_of(client)), None).run(), start=1):
        assert listed.yielded == number


def test_older_files_are_left_out_and_those_without_a_time_are_not_old(client) -> None:
    old = int((NOW - 2 * DAY) * 1e9)
    files = [
        arrival(version="no time"),
        arrival(version="listed old", changed_at=NOW - 2 * DAY),
        arrival(version="listed new", changed_at=NOW),
        arrival(version="dated old", modified_ns=old),
        arrival(version="dated old, listed new", modified_ns=old, changed_at=NOW),
    ]
    made, found = scan(client, *files, since=NOW - DAY)

    assert (len(found), made.counts.older) == (3, 2)


def test_what_no_ledger_would_take_is_said_and_the_rest_goes_on(client) -> None:
    client.define("k" * 37, "long.csv")
    made, found = scan(client, arrival("long.csv"), arrival())

    assert found == [("refused", "long.csv"), ("new", "contacts.csv")]
    assert (made.counts.refused, made.counts.new) == (1, 1)


@pytest.mark.parametrize("down", ["ledger_is_down", "cloud_is_down"])
def test_a_scan_ends_when_something_does_not_answer_and_the_next_one_takes_the_rest(client, down) -> None:
    setattr(client, down, True)
    with pytest.raises(ServiceUnavailableError, match="does not answer"):
        scan(client, arrival())
    setattr(client, down, False)

    assert scan(client, arrival())[1] == [("new", "contacts.csv")]


def test_a_list_that_breaks_off_costs_nothing_that_came_before(client) -> None:
    with pytest.raises(SourceUnavailableError):
        scan(client, arrival(), SourceUnavailableError("cut"), arrival("orders.csv"))

    assert client.started == [("contacts.csv", "contacts")]


def test_odd_names_are_names(client) -> None:
    for name in ("../contacts.csv", "-rf", "a\nb.csv", "\u202e.csv", " ", "x" * 1024):
        made, _ = scan(client, arrival(name))
        assert (made.counts.unmatched, made.counts.new) == (1, 0), name


def test_what_can_be_listed_is_recognised() -> None:
    assert isinstance(Listed(), Listable)
    assert not isinstance(object(), Listable)


@pytest.mark.parametrize(
    ("text", "since"),
    [
        ("2d", NOW - 2 * DAY),
        ("2026-03-01T06:00", 1772344800.0),
        ("2026-03-01T06:00+01:00", 1772341200.0),
        ("2026-03-01", 1772323200.0),
    ],
)
def test_a_time_or_an_age_says_since_when(text: str, since: float) -> None:
    assert read_since(text, NOW) == since


@pytest.mark.parametrize("text", ["soon", "", "-1d", "90", "2026-13-01"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no time"):
        read_since(text, NOW)


class Waits:
    """A source that runs until it is stopped, or fails."""

    def __init__(self, until: threading.Event, error: Exception | None = None) -> None:
        self.name, self._until, self._error = "drop", until, error

    def run(self, wakeup: Wakeup) -> None:
        assert self._until.wait(60)
        assert not wakeup.is_closing
        if self._error is not None:
            raise self._error


class Counted(Listed):
    """Says when it was listed so often."""

    def __init__(self, times: int, *arrivals: Arrival | Exception) -> None:
        super().__init__(*arrivals)
        self.done, self._times = threading.Event(), times

    def list_arrivals(self) -> Iterator[Arrival]:
        if self.lists + 1 >= self._times:
            self.done.set()
        return super().list_arrivals()


def run_beside(client, listed: Counted, error: Exception | None = None) -> list[str]:
    source = ScannedSource(Waits(listed.done, error), listed, intake_of(client), 0.001, lambda: NOW)
    with capture_logs() as logs:
        if error is None:
            source.run(Wakeup())
        else:
            with pytest.raises(type(error)):
                source.run(Wakeup())
    assert not [each for each in threading.enumerate() if each.name == "sfmc-scan-drop"]
    return [each["event"] for each in logs]


def test_scans_run_beside_the_source_until_it_ends(client) -> None:
    events = run_beside(client, Counted(3, arrival()))

    assert events.count("file_submitted") == 1
    assert events.count("source_scanned") >= 2


@pytest.mark.parametrize("error", [SourceUnavailableError("cut"), OSError("defect")])
def test_a_scan_that_fails_is_tried_again_and_the_source_goes_on(client, error) -> None:
    events = run_beside(client, Counted(3, arrival(), error))

    assert events.count("source_scan_failed") >= 2


def test_a_scan_that_is_refused_is_not_tried_again(client) -> None:
    listed = Counted(1, SourceRefusedError("wrong password", "give another"))

    assert run_beside(client, listed) == ["source_scan_stopped"]
    assert listed.lists == 1


def test_scans_end_with_a_source_that_is_refused(client) -> None:
    run_beside(client, Counted(1, arrival()), SourceRefusedError("wrong password", "give another"))


def delivering(*answers: object):
    """Gives these answers in turn for each file, then a new request."""
    left = {}

    def take(arrival: Arrival):
        turns = left.setdefault(arrival.file.name, list(answers))
        return turns.pop(0) if turns else Found("new", arrival.file, "orders", "1", "r1")

    return take


def test_a_scan_goes_on_while_files_are_delivered_and_ends_when_they_are() -> None:
    under_way = Held("on its way", is_under_way=True)
    listed = Listed(*(arrival(f"{number}.csv") for number in range(2 * MOST_UNDER_WAY)))
    waits: list[float] = []
    made = Scan(listed, delivering(under_way, under_way), None, lambda seconds: waits.append(seconds) or False)
    names = {each.file.name for each in made.run()}

    assert (len(names), made.counts.new, made.counts.waiting) == (2 * MOST_UNDER_WAY, 2 * MOST_UNDER_WAY, 0)
    assert 2 <= len(waits) <= 6


def test_a_file_that_cannot_be_delivered_now_is_said_to_be_waiting_and_the_rest_goes_on() -> None:
    take = delivering(Held("on its way", is_under_way=True), Held("target ftp: refuses"))
    made = Scan(Listed(arrival("a.csv"), arrival("b.csv")), take, None, lambda _: False)

    assert [(each.what, each.text) for each in made.run()] == [("waiting", "target ftp: refuses")] * 2
    assert made.counts.waiting == 2


def test_a_scan_that_is_to_end_leaves_what_is_under_way() -> None:
    made = Scan(Listed(arrival()), delivering(*[Held("on its way", is_under_way=True)] * 9), None, lambda _: True)

    assert (list(made.run()), made.counts.waiting) == ([], 1)


class Hanging(Listed):
    """Hangs in its first listing until it is let go; counts who lists at the same time."""

    def __init__(self) -> None:
        super().__init__(arrival())
        self.go, self.begun, self.done = threading.Event(), threading.Event(), threading.Event()
        self.now = self.most = self.closed = 0

    def list_arrivals(self) -> Iterator[Arrival]:
        self.now += 1
        self.most = max(self.most, self.now)
        self.begun.set()
        try:
            assert self.go.wait(60)
            yield from super().list_arrivals()
        finally:
            self.now -= 1

    def close(self) -> None:
        self.closed += 1
        if self.closed > 1:
            self.done.set()


def test_a_source_that_begins_anew_while_its_scan_hangs_has_one_scan_at_a_time(client) -> None:
    listed = Hanging()
    first = ScannedSource(Waits(listed.begun), listed, intake_of(client), 0.001, lambda: NOW, end_seconds=0.01)
    with capture_logs() as logs:
        first.run(Wakeup())
        first._source = Waits(listed.done)
        again = threading.Thread(target=first.run, args=(Wakeup(),))
        again.start()
        eventually(lambda: "source_scan_hanging" in [each["event"] for each in logs], 20, "it is said")
        listed.go.set()
        again.join(60)
        eventually(lambda: not [each for each in threading.enumerate() if each.name == "sfmc-scan-drop"], 20, "the end")
    assert listed.most == 1
    assert listed.closed >= 2
    assert len(client.requests) == 1


def test_the_connection_of_a_listing_is_closed_also_when_it_ends_in_the_middle(client) -> None:
    class Connected(Listed):
        is_open = False

        def list_arrivals(self) -> Iterator[Arrival]:
            self.is_open = True
            yield from super().list_arrivals()

        def close(self) -> None:
            self.is_open = False

    for arrivals in ([arrival(), arrival("orders.csv")], [arrival(), SourceUnavailableError("cut")]):
        source = Connected(*arrivals)
        results = Scan(source, submit_with(intake_of(client)), None).run()
        with suppress(SourceUnavailableError):
            next(results)
        results.close()
        assert (source.is_open, source.lists) == (False, 1)

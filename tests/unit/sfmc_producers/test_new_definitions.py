"""A file is called unrouted only by definitions that were read after it came."""

import io
from datetime import UTC, datetime

import pytest

from sfmc_import.definitions import CachedDefinitions
from sfmc_import.faults import NotApplied
from sfmc_import.file_format import Column, FileDescription, FileFormat, Preflight
from sfmc_import.request import FileInfo
from sfmc_import.routing import AmbiguousRoute, Route, Routed, Unrouted
from sfmc_import.runs import Definition, FileLocation
from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.sources.intake import Intake, Taken
from sfmc_producers.sources.scanning import submit_with
from sfmc_producers.submitter import RoutingRules, Submitter
from tests.support.fake_client import FakeClient
from tests.support.fake_marketing_cloud import FakeMarketingCloud


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


class Describing:
    """What Marketing Cloud says of the file of each definition now."""

    def __init__(self):
        self.columns, self.place = ("id",), FileLocation("old")

    def description(self, _mid, _key):
        form = FileFormat(file_type="CSV", header_lines=1, mapping="InferFromColumnHeadings", is_quoted=True)
        return FileDescription(form, tuple(Column(name=each, is_required=True) for each in self.columns))

    def location(self, _mid, _key):
        return self.place


class Unit:
    """A source over definitions that are kept for ten seconds, as in a producer."""

    def __init__(self):
        self.clock, self.client = Clock(), FakeClient()
        self.cloud = FakeMarketingCloud(Definition(customer_key="X", file_spec="x.csv"))
        self.describing = Describing()
        definitions = CachedDefinitions(self.cloud, describing=self.describing, ttl=300, clock=self.clock)
        routes = [
            Route(pattern="checked.*", customer_key="X", preflight=Preflight()),
            Route(pattern="delivered.*", customer_key="X", deliver="sftp"),
        ]
        rules = RoutingRules(definitions=definitions, routes=routes, max_age=10)
        self.intake = Intake("drop", Submitter(self.client, rules, self.clock, lambda: NOON))
        self.take("x.csv")

    def take(self, *names):
        return self.intake.record_many([arrival(name) for name in names])

    def define(self, key, file_spec):
        self.cloud.add(Definition(customer_key=key, file_spec=file_spec))

    @property
    def reported(self):
        return [(name, file.name) for name, file, _ in self.client.reported]

    @property
    def lists(self):
        return len(self.cloud.calls)


NOON = datetime(2026, 3, 7, 12, tzinfo=UTC)


def arrival(name, content=None):
    opened = None if content is None else lambda: io.BytesIO(content)
    return Arrival(file=FileInfo(location="drop", name=name, size=1, modified_ns=1), open_content=opened)


@pytest.fixture
def unit():
    return Unit()


def test_a_file_that_is_announced_moments_after_its_definition_was_made_is_started(unit):
    unit.define("Y", "y.csv")
    unit.clock.now += 5

    [taken] = unit.take("y.csv")

    assert isinstance(taken, Taken)
    assert isinstance(taken.routing, Routed)
    assert taken.routing.customer_key == "Y"
    assert unit.reported == []


def test_a_file_whose_name_another_definition_read_until_a_moment_ago_is_started(unit):
    unit.define("Y", "y.csv")
    unit.define("Z", "y.csv")
    unit.clock.now += 5
    [ambiguous] = unit.take("y.csv")
    unit.define("Z", "z.csv")
    unit.clock.now += 5
    [taken] = unit.take("y.csv")

    assert isinstance(ambiguous.routing, AmbiguousRoute)
    assert isinstance(taken.routing, Routed)


def test_files_that_start_nothing_share_one_reading(unit):
    unit.clock.now += 5
    before = unit.lists

    taken = unit.take(*(f"{number}.csv" for number in range(100)))

    assert all(isinstance(each.routing, Unrouted) for each in taken)
    assert unit.lists == before + 1


def test_a_flood_of_files_that_start_nothing_costs_a_reading_a_second_and_each_is_decided(unit):
    before, waiting, done = unit.lists, [], 0
    for number in range(100):
        unit.clock.now += 0.1
        waiting.append(f"{number}.csv")
        answers = unit.take(*waiting)
        done += sum(each is not None for each in answers)
        waiting = [name for name, each in zip(waiting, answers, strict=True) if each is None]

    assert unit.lists - before <= 11
    assert len(waiting) <= 10
    assert done + len(waiting) == 100


def test_a_file_that_waits_for_a_newer_reading_is_not_kept_waiting_by_those_that_come_after_it(unit):
    unit.clock.now += 5
    unit.take("0.csv")
    unit.clock.now += 0.5
    assert unit.take("1.csv") == [None]
    unit.clock.now += 0.6
    unit.take("2.csv")
    unit.clock.now += 0.1

    assert [isinstance(each, Taken) for each in unit.take("1.csv", "3.csv")] == [True, False]


def test_while_the_definitions_cannot_be_read_anew_no_file_is_called_unrouted(unit):
    unit.clock.now += 5
    unit.cloud.fail("definitions", NotApplied("connection", "away"), times=9)

    assert unit.take("y.csv", "x.csv") != [None, None]
    assert unit.take("y.csv") == [None]
    assert unit.reported == []


def test_what_a_folder_or_a_server_reports_is_looked_for_among_newer_definitions_first(unit):
    old = unit.intake.route(arrival("y.csv"))
    unit.define("Y", "y.csv")
    unit.clock.now += 5

    assert unit.intake.report(arrival("y.csv"), old, unit.clock.now) is False
    assert isinstance(unit.intake.route(arrival("y.csv")), Routed)
    assert unit.reported == []


def test_all_files_that_a_folder_reports_at_once_are_reported_with_the_next_look(unit):
    files = [arrival(f"{number}.csv") for number in range(20)]
    for _ in range(2):
        unit.clock.now += 1
        said = [unit.intake.report(each, unit.intake.route(each), unit.clock.now) for each in files]

    assert all(said)


def test_a_scan_looks_among_newer_definitions_and_does_not_end_for_those_that_start_nothing(unit):
    unit.define("Y", "y.csv")
    unit.clock.now += 5
    take = submit_with(unit.intake)

    assert [take(arrival(name)) for name in ("a.csv", "b.csv", "c.csv")] == ["unmatched"] * 3
    assert take(arrival("y.csv")).customer_key == "Y"


def test_a_scan_calls_no_file_unrouted_by_older_definitions_and_the_next_one_does_by_newer_ones(unit):
    unit.clock.now += 5
    take = submit_with(unit.intake)
    take(arrival("a.csv"))
    unit.clock.now += 0.5
    first, early = take(arrival("b.csv")), list(unit.reported)
    unit.clock.now += 0.6

    assert (first, early) == ("unmatched", [("unrouted", "a.csv")])
    assert take(arrival("b.csv")) == "unmatched"
    assert ("unrouted", "b.csv") in unit.reported


def test_a_scan_that_is_the_only_one_asks_again_until_newer_definitions_have_said_it(unit):
    unit.clock.now += 5
    take = submit_with(unit.intake, is_only=True)
    take(arrival("a.csv"))
    unit.clock.now += 0.5
    unit.define("Y", "y.csv")
    held = [take(arrival(name)) for name in ("b.csv", "y.csv")]
    unit.clock.now += 0.6

    assert [each.is_under_way for each in held] == [True, True]
    assert take(arrival("b.csv")) == "unmatched"
    assert take(arrival("y.csv")).customer_key == "Y"
    assert unit.reported == [("unrouted", "a.csv"), ("unrouted", "b.csv")]


@pytest.mark.parametrize("is_only", [False, True])
def test_a_scan_goes_on_where_definitions_cannot_be_read_anew_and_calls_no_file_unrouted(unit, is_only):
    unit.clock.now += 5
    unit.cloud.fail("definitions", NotApplied("connection", "away"), times=9)
    take = submit_with(unit.intake, is_only=is_only)

    assert [take(arrival("y.csv")), take(arrival("x.csv"))] == ["unmatched", "known"]
    assert unit.reported == []


def test_a_file_is_refused_only_by_how_its_definition_reads_it_now(unit):
    unit.intake.take(arrival("checked.1", b"id\n1\n"))
    unit.describing.columns = ("email",)
    unit.clock.now += 5
    unit.intake.take(arrival("checked.2", b"email\na@b.c\n"))
    unit.intake.take(arrival("checked.3", b"id\n1\n"))

    assert [name for name, _ in unit.client.started] == ["x.csv", "checked.1", "checked.2"]
    assert [name for name, *_ in unit.client.rejected.values()] == ["checked.3"]


def test_a_file_that_no_target_can_take_is_refused_only_by_where_its_definition_reads_now(unit):
    unit.intake.take(arrival("delivered.1", b""))
    unit.describing.place = FileLocation("new")
    unit.clock.now += 5

    [problem] = unit.intake.take(arrival("delivered.2", b"")).problems
    assert "from the location new" in problem

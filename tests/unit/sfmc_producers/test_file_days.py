"""Which day the date in a name means near midnight, while clocks are apart: the same that a worker would let start."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sfmc_import.checking import Days
from sfmc_import.clocks import Clocks
from sfmc_import.definitions import CachedDefinitions
from sfmc_import.outlook import Standing
from sfmc_import.policy import Policy
from sfmc_import.request import FileInfo
from sfmc_import.routing import Route, Routed, Unrouted
from sfmc_import.runs import Definition
from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.sources.explaining import Explained, Explaining
from sfmc_producers.sources.intake import Intake
from sfmc_producers.submitter import RoutingRules, Submitter
from tests.support.fake_client import FakeClient
from tests.support.fake_marketing_cloud import FakeMarketingCloud

MIDNIGHT = datetime(2026, 3, 8, tzinfo=UTC)
SPEC = "in_%%YEAR%%%%MONTH%%%%DAY%%.csv"
YESTERDAY, TODAY, TOMORROW = "in_20260307.csv", "in_20260308.csv", "in_20260309.csv"
MARGIN = 60.0


class Place:
    """A source at so many seconds after midnight by Marketing Cloud; Redis and this machine are `ahead` of it."""

    def __init__(
        self, after: float, redis: float = 0.0, machine: float = 0.0, *, is_heard: bool = True, routes: Any = ()
    ) -> None:
        self.client, self.true = FakeClient(), MIDNIGHT + timedelta(seconds=after)
        self.client.define("daily", SPEC)
        self.clocks = Clocks(lambda: 1000.0, lambda: self.true.timestamp() + machine)
        if is_heard:
            self.hear()
        rules = RoutingRules(definitions=self.client, routes=routes, margin=MARGIN, clock=self.clocks)  # type: ignore[arg-type]
        now = self.true + timedelta(seconds=redis)
        self.redis = now.timestamp()
        self.submitter = Submitter(self.client, rules, lambda: 0.0, lambda: now)
        self.intake = Intake("drop", self.submitter)

    def hear(self) -> None:
        """Have Marketing Cloud name its time."""
        self.clocks.note_service(self.true.timestamp() - 0.5, 1000.0)

    def route(self, name: str) -> Any:
        return self.submitter.route(FileInfo(location="/in", name=name), None)


APART = [-180.0, -40.0, -3.0, 0.0, 3.0, 40.0, 180.0]


@pytest.mark.parametrize("after", [-8.0, 0.5, 8.0])
@pytest.mark.parametrize("redis", APART)
@pytest.mark.parametrize("is_heard", [True, False])
def test_the_file_of_the_day_at_marketing_cloud_is_taken_from_a_queue_wherever_the_clock_of_redis_stands(
    after: float, redis: float, is_heard: bool
):
    place, name = Place(after, redis, is_heard=is_heard), YESTERDAY if after < 0 else TODAY
    arrival = Arrival(file=FileInfo(location="/in", name=name, size=3, version="1"))

    assert place.intake.take(arrival) is True
    assert place.client.started == [(name, "daily")]


@pytest.mark.parametrize("after", [-8.0, 8.0])
@pytest.mark.parametrize("redis", APART)
def test_a_route_with_a_date_takes_the_file_of_the_day_at_marketing_cloud_too(after: float, redis: float):
    place = Place(after, redis, routes=[Route(pattern="in_%%YEAR%%%%MONTH%%%%DAY%%*", customer_key="routed")])

    found = place.route(YESTERDAY if after < 0 else TODAY)

    assert found == Routed(customer_key="routed", mid=place.client.mid, by="route")


def test_what_counts_is_heard_with_the_definitions_that_the_first_file_needs():
    place = Place(8.0, -1000.0, -1000.0, is_heard=False)
    read = place.client.all_of
    place.client.all_of = lambda *given, **named: place.hear() or read(*given, **named)  # type: ignore[method-assign,func-returns-value]

    assert isinstance(place.route(TODAY), Routed)


def test_the_day_that_counts_comes_first_and_the_other_only_where_it_has_nothing():
    place = Place(-8.0, routes=[Route(pattern="in_*%%DAY%%.csv", customer_key="route_{1}")])
    place.client.define("odd", "in_20260307_08.csv")

    assert place.route("in_20260307_08.csv").customer_key == "odd"


@pytest.mark.parametrize(
    ("after", "name"), [(-61.0, TODAY), (60.0, YESTERDAY), (-8.0, TOMORROW), (8.0, "in_20260306.csv")]
)
def test_beyond_the_margin_a_file_of_another_day_starts_nothing(after: float, name: str):
    found = Place(after).route(name)

    assert isinstance(found, Unrouted)
    assert found.reason == "date_differs"


@pytest.mark.parametrize(
    ("after", "redis", "read"),
    [(3600.0, -40.0, TODAY), (8.0, -40.0, f"{TODAY} or {YESTERDAY}"), (-8.0, 0.0, f"{YESTERDAY} or {TODAY}")],
)
def test_what_marketing_cloud_reads_now_is_said_with_both_sides_of_midnight(after: float, redis: float, read: str):
    found = Place(after, redis).route("in_20250101.csv")

    assert found.text == f"named for another day: Marketing Cloud reads {read} now"


def test_a_machine_whose_clock_is_wrong_selects_nothing_that_a_worker_would_refuse_once_marketing_cloud_was_heard():
    assert isinstance(Place(-540.0, 0.0, 500.0).route(TODAY), Unrouted)


@pytest.mark.parametrize(
    ("redis", "machine", "is_taken"),
    [(-600.0, 0.0, True), (-180.0, -180.0, False), (-700.0, 0.0, False), (-40.0, -40.0, True)],
)
def test_where_marketing_cloud_is_not_heard_redis_and_the_machine_say_the_day(
    redis: float, machine: float, is_taken: bool
):
    found = Place(8.0, redis, machine, is_heard=False).route(TODAY)

    assert isinstance(found, Routed) == is_taken


def test_file_specs_that_are_kept_for_a_second_are_read_for_the_day_that_begins_meanwhile():
    cloud = FakeMarketingCloud(Definition(customer_key="daily", file_spec=SPEC))
    now = MIDNIGHT - timedelta(seconds=1)
    definitions = CachedDefinitions(cloud, ttl=300, clock=lambda: 0.0)
    submitter = Submitter(FakeClient(), RoutingRules(definitions=definitions), lambda: 0.0, lambda: now)
    assert isinstance(submitter.route(FileInfo(location="/in", name=TODAY), None), Unrouted)

    now = MIDNIGHT

    assert isinstance(submitter.route(FileInfo(location="/in", name=TODAY), None), Routed)


DATED = Route(pattern="x_%%YEAR%%%%MONTH%%%%DAY%%.csv", customer_key="daily")


def explained(place: Place, name: str) -> Explained:
    now = place.redis
    explaining = Explaining(
        intake=place.intake,
        ledger=SimpleNamespace(now=lambda: now, standing=lambda *_: Standing()),  # type: ignore[arg-type]
        definitions=lambda *_: Definition(customer_key="daily", file_spec=f"*{SPEC[2:]}"),
        policies=lambda *_: Policy(),
        days=Days(zone=ZoneInfo("UTC"), margin=MARGIN),
        own=(DATED,),
    )
    return explaining.explain(Arrival(file=FileInfo(location="/in", name=name)))


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        (TODAY, [(f"route 1 of the source ({DATED.pattern})", False), ("FileSpec of daily", True)]),
        ("x_20260308.csv", [(f"route 1 of the source ({DATED.pattern})", True)]),
    ],
)
def test_an_explanation_names_the_rule_that_selects_and_waits_until_midnight_is_over_on_all_clocks(
    name: str, rules: list[tuple[str, bool]]
):
    found = explained(Place(8.0, -180.0, routes=[DATED]), name)

    assert [(each.rule, each.matched) for each in found.rules] == rules
    assert (found.decision.what, found.decision.reason) == ("wait", "file_check")
    assert found.decision.until == "2026-03-08 00:01:00 UTC"

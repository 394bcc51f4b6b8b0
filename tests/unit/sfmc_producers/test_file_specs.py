"""What definitions say of a file is believed for as long as they are new: by the time of the very list that is used."""

from datetime import date

import pytest

from sfmc_import.definitions import CachedDefinitions
from sfmc_import.request import FileInfo
from sfmc_import.routing import Routed
from sfmc_import.runs import Definition
from sfmc_producers.circuit import Circuit
from sfmc_producers.file_specs import ReadFileSpecs
from tests.support.fake_marketing_cloud import FakeMarketingCloud

MID = "510001234"
DAY = date(2026, 3, 7)


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


class Overtaken(Circuit):
    """Lets something happen in another thread once a call has its answer."""

    then = None

    def call(self, ask):
        answer, then, self.then = super().call(ask), self.then, None
        if then is not None:
            then()
        return answer


class Reading:
    """A reader of FileSpecs over definitions that are kept in memory."""

    def __init__(self):
        self.clock = Clock()
        self.cloud = FakeMarketingCloud(Definition(customer_key="X", file_spec="x.csv"))
        self.definitions = CachedDefinitions(self.cloud, ttl=300, clock=self.clock)
        self.circuit = Overtaken("definitions", self.clock)
        self.specs = ReadFileSpecs(self.definitions, 10.0, self.clock, lambda _: self.circuit)

    def newer(self, name):
        return self.specs.newer(MID, named(name), self.clock.now)


def named(name):
    return FileInfo(location="drop", name=name, size=1, modified_ns=1)


@pytest.fixture
def reading():
    return Reading()


def test_a_list_is_as_old_as_it_is_also_where_another_thread_has_read_a_newer_one_meanwhile(reading):
    reading.definitions.all_of(MID)
    reading.clock.now += 5
    reading.cloud.add(Definition(customer_key="Y", file_spec="y.csv"))
    reading.circuit.then = lambda: reading.definitions.all_of(MID, max_age=0.0)
    reading.specs.usual(MID)

    found = reading.newer("y.csv")

    assert found is None or isinstance(found.find("y.csv", DAY), Routed)
    reading.clock.now += 1
    assert isinstance(reading.newer("y.csv").find("y.csv", DAY), Routed)


def test_what_was_read_after_a_file_came_says_no_more_of_it_once_it_is_older_than_a_start_may_use(reading):
    file, since = named("y.csv"), reading.clock.now
    reading.specs.usual(MID)
    reading.clock.now += 11
    reading.cloud.add(Definition(customer_key="Y", file_spec="y.csv"))

    found = reading.specs.newer(MID, file, since)

    assert isinstance(found.find("y.csv", DAY), Routed)


def test_at_the_limit_a_file_that_waits_already_drives_out_no_other(reading):
    specs = ReadFileSpecs(reading.definitions, 10.0, reading.clock, lambda _: reading.circuit, most=2)
    first, second = named("a.csv"), named("b.csv")
    specs.usual(MID)
    reading.clock.now += 0.5
    waiting = [specs.newer(MID, each, reading.clock.now) for each in (first, second, second)]
    reading.clock.now += 0.6
    specs.newer(MID, second, reading.clock.now)
    reading.clock.now += 0.1

    assert waiting == [None] * 3
    assert specs.newer(MID, first, reading.clock.now) is not None


def test_at_the_limit_a_new_file_drives_out_the_one_that_waits_longest(reading):
    specs = ReadFileSpecs(reading.definitions, 10.0, reading.clock, lambda _: reading.circuit, most=2)
    first, second, third = named("a.csv"), named("b.csv"), named("c.csv")
    specs.usual(MID)
    reading.clock.now += 0.5
    for each in (first, second, third):
        specs.newer(MID, each, reading.clock.now)
    reading.clock.now += 0.6
    specs.newer(MID, third, reading.clock.now)
    reading.clock.now += 0.1

    assert specs.newer(MID, second, reading.clock.now) is not None
    assert specs.newer(MID, first, reading.clock.now) is None

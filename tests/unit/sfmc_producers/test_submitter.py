from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from sfmc_import.circuits import HELD_BACK, failed_code
from sfmc_import.definitions import CachedDefinitions
from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.request import FileInfo
from sfmc_import.runs import Definition
from sfmc_producers.submitter import Circuit, RoutingRules, Submitter
from tests.support.fake_client import FakeClient
from tests.support.fake_marketing_cloud import FakeMarketingCloud


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def circuit(clock):
    return Circuit("ledger", clock)


def fail():
    raise ServiceUnavailableError("away")


def test_threads_that_fail_at_the_same_time_are_one_failure_and_one_line(circuit, clock):
    alone = Circuit("ledger", clock)

    def fail_after_another_thread():
        clock.now += 1
        circuit.call(fail)
        fail()

    with capture_logs() as logs:
        assert circuit.call(fail_after_another_thread) is None
    alone.call(fail)

    assert [each["event"] for each in logs] == ["backend_unavailable"]
    assert circuit.next_in == alone.next_in


def test_each_failure_in_a_row_waits_longer_and_an_answer_ends_that(circuit, clock):
    pauses = []
    for _ in range(3):
        circuit.call(fail)
        pauses.append(circuit.next_in)
        clock.now += pauses[-1]

    assert pauses == sorted(set(pauses))
    assert circuit.call(lambda: 7) == 7
    assert circuit.next_in is None


ARRIVED = FileInfo(location="/in", name="a.csv", size=1, modified_ns=1)


@pytest.fixture
def cloud():
    return FakeMarketingCloud(Definition(customer_key="X", file_spec="a.csv"))


@pytest.fixture
def submitter(cloud, clock):
    definitions = CachedDefinitions(cloud, ttl=300, clock=clock)
    client = FakeClient()
    return Submitter(client, RoutingRules(definitions=definitions, max_age=10), clock, lambda: datetime.now(UTC))


def test_a_file_is_routed_by_what_the_file_specs_are_now_and_not_by_what_they_were_minutes_ago(submitter, cloud, clock):
    assert submitter.route(ARRIVED, None).customer_key == "X"
    cloud.add(Definition(customer_key="X", file_spec="old.csv"))
    cloud.add(Definition(customer_key="Y", file_spec="a.csv"))
    clock.now = 11

    assert submitter.route(ARRIVED, None).customer_key == "Y"


def test_the_files_of_a_scan_share_one_reading_of_the_definitions(submitter, cloud, clock):
    for _ in range(100):
        submitter.route(ARRIVED, None)
        clock.now += 0.1

    assert len(cloud.calls) == 1


@pytest.mark.parametrize("text", ["no", f"{HELD_BACK}login_failed: no"], ids=["asked", "held back"])
def test_the_cause_of_an_outage_keeps_its_code_also_while_calls_are_held_back(text):
    code = "circuit_open" if text.startswith(HELD_BACK) else "login_failed"

    assert failed_code(code, text) == "login_failed"

import pytest
from structlog.testing import capture_logs

from sfmc_import.errors import ServiceUnavailableError
from sfmc_producers.submitter import Circuit


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

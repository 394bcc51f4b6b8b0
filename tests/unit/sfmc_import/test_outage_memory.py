"""A process that goes on asking knows since when something does not answer."""

from sfmc_import.outage_memory import OutageMemory


def test_an_outage_began_when_it_was_met_first_and_ends_with_an_answer() -> None:
    times = iter((5.0, 9.0, 10.0, 12.0))
    memory = OutageMemory(lambda: next(times))

    assert memory.failed("broker") is None
    assert memory.failed("broker") == 5.0
    memory.answered("broker")
    memory.answered("Redis")
    assert memory.failed("broker") is None
    assert memory.failed("broker") == 12.0
    assert (memory.last_answer("broker"), memory.last_answer("other")) == (9.0, None)

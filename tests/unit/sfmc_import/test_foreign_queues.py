import pytest
from kombu import Queue

from sfmc_import.foreign_queues import QueuesOfAll


@pytest.fixture
def queues() -> QueuesOfAll:
    return QueuesOfAll([Queue("imports"), Queue("imports.upkeep")])


def test_a_queue_of_another_program_can_be_sent_to_and_is_not_kept(queues):
    found = queues["theirs"]

    assert (found.name, found.exchange.name, found.routing_key) == ("theirs", "", "theirs")
    assert set(queues) == set(queues.consume_from) == {"imports", "imports.upkeep"}


def test_a_worker_reads_the_queues_that_are_ours_alone(queues):
    with pytest.raises(KeyError, match="import"):
        queues.select(["imports", "import"])

    queues.select("imports")
    assert set(queues.consume_from) == {"imports"}
    queues.select(None)
    assert set(queues.consume_from) == {"imports"}

"""Redis is cut at each step of a delivery, and producers deliver the same file at once."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from sfmc_import.ports import LedgerUnavailableError
from sfmc_producers.delivery.job import deliver
from sfmc_producers.delivery.records import Held, LeaseLostError, Records
from sfmc_producers.delivery.targets import FileRefusedError
from tests.integration.crash_points.crash_points import Fate
from tests.integration.delivery.world import KEYS, World, digest, on_call
from tests.support.waiting import eventually


class FatedRecords(Records):
    """Records whose changes meet their fate."""

    def __init__(self, world: World, fate: Fate) -> None:
        super().__init__(world.client, KEYS, 60)
        self._fate = fate

    def change(self, key, decide):
        return self._fate.meet(lambda: super(FatedRecords, self).change(key, decide), ledger=True)


def steps(world: World) -> int:
    fate = Fate("none", 0)
    world.deliver(records=FatedRecords(world, fate))
    return len(fate.calls)


def test_a_delivery_changes_its_record_four_times(world) -> None:
    assert steps(world) == 4


@pytest.mark.parametrize("kind", ["redis_down", "reply_lost"])
@pytest.mark.parametrize("point", range(1, 5))
def test_whichever_change_of_the_record_fails_the_file_is_submitted_once_and_whole(world, kind, point) -> None:
    fate = Fate(kind, point)
    try:
        answer = world.deliver(records=FatedRecords(world, fate))
    except LedgerUnavailableError:
        assert world.submitted == []
        world.let_leases_end()
        answer = world.deliver()
    assert len(fate.calls) >= point
    assert answer == "r1"
    assert world.is_done()


@pytest.mark.parametrize("kind", ["redis_down", "reply_lost"])
@pytest.mark.parametrize("point", range(1, 5))
def test_whichever_request_to_redis_is_cut_it_is_the_same_request_that_is_submitted_again(world, kind, point) -> None:
    submit = Fate(kind, 1)
    job = world.job(submit=lambda: submit.meet(lambda: world.submit("r1"), ledger=True))
    with pytest.raises(LedgerUnavailableError):
        world.deliver(job)
    world.deliver()
    assert set(world.submitted) == {("r1", digest(world.path.read_bytes()))}
    assert world.names == ["orders.csv"]


def test_a_refused_login_ends_the_tries_also_while_redis_is_away(world) -> None:
    class Cut(FatedRecords):
        def locked_out(self, *_):
            return 0.0

        def lock_out(self, *_):
            raise LedgerUnavailableError("down")

    with world.target("wrong") as target:
        target.records = Cut(world, Fate("redis_down", 2))
        job = world.job()
        eventually(
            lambda: isinstance(answer := target.take(job), Held) and "refuses the login" in answer.text, 30, "no"
        )
    assert len(world.server.logins) == 1


def test_a_redis_that_is_cut_while_the_bytes_flow_renames_nothing(world) -> None:
    def down() -> None:
        raise LedgerUnavailableError("down")

    session = world.session()
    records = FatedRecords(world, Fate("redis_down", 2))
    try:
        session.connect()
        with pytest.raises(LedgerUnavailableError):
            deliver(world.job(), records, lambda: session)
    finally:
        session.close()
    assert (world.submitted, (world.place / "orders.csv").exists()) == ([], False)


@pytest.mark.parametrize("producers", [2, 3])
def test_producers_that_deliver_the_same_file_at_once_submit_it_as_one_whole_file(world, producers) -> None:
    renames = []
    world.server.after = lambda operation, _: renames.append(1) if operation == "posix_rename" else None
    together = Barrier(producers)

    def produce(_: int) -> object:
        together.wait(30)
        while isinstance(answer := world.deliver(), Held):
            pass
        return answer

    with ThreadPoolExecutor(producers) as pool:
        assert list(pool.map(produce, range(producers))) == ["r1"] * producers
    assert set(world.submitted) == {("r1", digest(world.path.read_bytes()))}
    assert (world.names, len(renames)) == (["orders.csv"], 1)


@pytest.mark.parametrize("operation", ["open", "write", "close", "posix_rename"])
def test_a_producer_that_is_overtaken_at_any_step_submits_nothing_and_tears_nothing(world, operation) -> None:
    """The first one is slower than its lease: another takes over, delivers and submits while it still goes on."""
    with ThreadPoolExecutor(1) as pool:
        other: list[object] = []

        def overtake() -> None:
            world.let_leases_end()
            claim = world.records.claim("sftp://there/Import/orders.csv", "f1", "r1")
            other.append(claim)

        world.server.before = on_call(operation, 0, overtake)
        with pytest.raises((LeaseLostError, FileRefusedError)):
            pool.submit(world.deliver).result(60)
    assert world.submitted == []
    world.server.before = lambda *_: None
    world.let_leases_end()
    world.deliver()
    assert world.is_done()

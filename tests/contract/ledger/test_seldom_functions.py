"""A usual life of a start, and a duplicate, make no seldom function of a script."""

from sfmc_import.ledger import LedgerSettings, RedisLedger
from sfmc_import.ledger.scripts import sources
from sfmc_import.policy import Policy
from sfmc_import.request import FileInfo, StartRequest
from sfmc_import.runs import Accepted, Definition, Run
from sfmc_import.states import AlreadyEnded, Reconcile, StartNow
from tests.support.ledger_world import START_MS, FakeRedisWorld, reading_with_moved_clock

SETTINGS = LedgerSettings()
LATE = "{__index = function(_, name)\n"
POLICY = Policy()
DEFINITION = Definition(customer_key="k", object_id="o", max_import_frequency=24.0)


def _request(request_id: str) -> StartRequest:
    file = FileInfo(location="sftp://import", name="a.csv", size=1, modified_ns=START_MS * 1_000_000)
    return StartRequest(request_id=request_id, customer_key="k", mid="1", file=file)


def _ledger(world: FakeRedisWorld) -> RedisLedger:
    """A ledger whose scripts fail when they come to a seldom function."""
    texts = sources(SETTINGS.for_scripts(), reading_with_moved_clock())
    scripts = {step: text.replace(LATE, LATE + "error('seldom: ' .. name)\n") for step, text in texts.items()}
    return RedisLedger(world.client, SETTINGS, scripts)


def test_a_start_to_its_end_and_a_duplicate_call_no_seldom_function():
    world = FakeRedisWorld(SETTINGS)
    ledger = _ledger(world)
    assert ledger.hold(_request("a"), "worker") == (True, None)
    decision = ledger.claim(_request("a"), "worker", POLICY, DEFINITION)
    assert isinstance(decision, StartNow)
    ledger.record_intent(decision.lease, (), window=24.0, policy=POLICY)
    ledger.started(decision.lease, Accepted(task_id="7", soap_request_id=None), 24.0, POLICY)
    assert isinstance(ledger.claim(_request("b"), "worker", POLICY, DEFINITION), AlreadyEnded)
    [run] = ledger.followed(["a"])
    assert ledger.polling(["a"], "worker").granted == ("a",)
    ledger.progressed(run, "Processing", 5.0)
    result = Run(task_id="7", customer_key="k", status="Completed", total=1)
    ledger.ended(run, "completed", result, POLICY)

    assert world.state("a") == "completed"
    assert world.state("b") == "duplicate"


def test_a_seldom_function_is_made_when_it_is_called():
    world = FakeRedisWorld(SETTINGS)
    decision = world.ledger.claim(_request("a"), "worker", POLICY, DEFINITION)
    assert isinstance(decision, StartNow)
    world.ledger.record_intent(decision.lease, (), window=24.0, policy=POLICY)
    world.advance(SETTINGS.lease + 1)

    assert not isinstance(world.ledger.claim(_request("a"), "other", POLICY, DEFINITION), StartNow | Reconcile)
    assert world.state("a") == "reconciling"

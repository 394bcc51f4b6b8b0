"""What was recorded is confirmed by disk or replicas with one barrier, on whatever connection it came."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis as redis_py
from structlog.testing import capture_logs

from sfmc_import.access import ReadAccess
from sfmc_import.client import Client
from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.faults import NotApplied, Rejected
from sfmc_import.ledger import LedgerSettings, RedisLedger
from sfmc_import.ledger.ledger_settings import Durability
from sfmc_import.operations import actions, listing, replaying, resolving, resuming
from sfmc_import.operations.errors import ConflictError, NotFoundError, PreconditionError
from sfmc_import.policy import Policy
from sfmc_import.ports import LedgerUnavailableError, NotConfirmedError
from sfmc_import.request import StartRequest, read_request
from sfmc_import.runs import Definition
from sfmc_import.settings import load
from sfmc_import.states import StartNow
from sfmc_local.redis_server import Valkey, find_server, version_of
from sfmc_producers.push.inbox import Inbox
from sfmc_producers.sources.dead_letters import SourceDeadLetters
from sfmc_transport import Keys
from tests.support.waiting import eventually

DISK = Durability(kind="waitaof", records_ms=2500)
AT_ONCE = Durability(kind="waitaof", records_ms=50)
REPLICA = Durability(kind="wait", replicas=1, records_ms=5000)
needs_waitaof = pytest.mark.skipif(version_of(find_server()) < (7, 2), reason="WAITAOF came with Redis 7.2")


@pytest.fixture
def other(own_valkey: Valkey) -> Iterator[Any]:
    """A client beside that under test."""
    with redis_py.Redis.from_url(own_valkey.url) as made:
        yield made


@pytest.fixture
def following(own_valkey: Valkey) -> Iterator[Valkey]:
    """A replica that has all of the server."""
    with Valkey(tcp=True) as replica, redis_py.Redis(port=replica.port) as client:
        with redis_py.Redis.from_url(own_valkey.url) as primary:
            primary.config_set("repl-diskless-sync-delay", 0)
        client.replicaof("127.0.0.1", str(own_valkey.port))
        eventually(lambda: client.info("replication")["master_link_status"] == "up", 60, "the replica follows")
        yield replica


def ledger_at(valkey: Valkey, durability: Durability) -> RedisLedger:
    """A ledger with connections of its own."""
    return RedisLedger(redis_py.Redis.from_url(valkey.url), LedgerSettings(durability=durability))


def request(name: str) -> StartRequest:
    return read_request(name, "42", {"customer_key": name})


@needs_waitaof
def test_what_other_connections_recorded_is_on_disk_when_it_is_confirmed(own_valkey: Valkey) -> None:
    names = [f"r{number}" for number in range(20)]
    for name in names:
        ledger_at(own_valkey, DISK).accept(request(name))
    ledger_at(own_valkey, DISK).confirm(names)
    own_valkey.kill()
    own_valkey.start()

    assert all(ledger_at(own_valkey, DISK).load(name) for name in names)


@needs_waitaof
def test_nothing_is_confirmed_while_the_disk_has_it_not_and_all_of_it_is_later(own_valkey: Valkey, other: Any) -> None:
    ledger = ledger_at(own_valkey, AT_ONCE)
    other.config_set("appendfsync", "no")
    ledger.accept(request("r"))
    with pytest.raises(NotConfirmedError, match="has not confirmed in time"):
        ledger.confirm(["r"])
    other.config_set("appendfsync", "always")

    ledger.confirm(["r"])


def test_a_replica_that_is_behind_confirms_nothing(own_valkey: Valkey, following: Valkey) -> None:
    ledger = ledger_at(own_valkey, Durability(kind="wait", replicas=1, records_ms=50))
    following.pause()
    ledger.accept(request("r"))
    with pytest.raises(NotConfirmedError):
        ledger.confirm(["r"])
    following.resume()

    ledger_at(own_valkey, REPLICA).confirm(["r"])
    assert ledger_at(following, REPLICA).load("r") is not None


def test_a_server_that_lacks_one_of_the_records_confirms_none(own_valkey: Valkey, following: Valkey) -> None:
    ledger = ledger_at(own_valkey, REPLICA)
    ledger.accept(request("kept"))
    with pytest.raises(NotConfirmedError, match="lacks what was recorded"):
        ledger.confirm(["kept", "lost"])


def test_a_server_that_is_a_replica_by_now_confirms_nothing(own_valkey: Valkey, following: Valkey) -> None:
    ledger_at(own_valkey, REPLICA).accept(request("r"))
    with pytest.raises(LedgerUnavailableError, match="read only replica"):
        ledger_at(following, Durability(kind="wait", replicas=0)).confirm([])


def test_without_durability_nothing_is_asked(own_valkey: Valkey, other: Any) -> None:
    ledger = ledger_at(own_valkey, Durability())
    before = other.info("stats")["total_commands_processed"]
    ledger.confirm(["lost"])

    assert other.info("stats")["total_commands_processed"] == before + 1


@needs_waitaof
def test_what_is_posted_is_kept_only_when_it_is_confirmed(own_valkey: Valkey, other: Any) -> None:
    inbox = Inbox(other, ledger_at(own_valkey, AT_ONCE).keys, "drop", durability=AT_ONCE)
    other.config_set("appendfsync", "no")
    assert inbox.add([b"1", b"2"]) == [False, False]
    other.config_set("appendfsync", "always")

    assert inbox.add([b"1", b"2"]) == [True, True]
    assert other.xlen(inbox.key) == 4


@pytest.fixture
def client(own_valkey: Valkey) -> Iterator[Client]:
    """A client of a server whose replica is missing."""
    environ = {"SFMC_REDIS_URL": own_valkey.tcp_url, "SFMC_ACCOUNT_ID": "42"}
    settings = load(environ | {"SFMC_DURABILITY": "wait", "SFMC_WAIT_REPLICAS": "1"})
    with Client.from_settings(settings) as made:
        yield made


def test_a_submitted_request_that_is_not_confirmed_is_an_outage_and_recorded(client: Client, other: Any) -> None:
    with pytest.raises(ServiceUnavailableError, match="has not confirmed in time") as caught:
        client.submit(customer_key="orders", request_id="r")

    assert "see request r" in str(caught.value)
    assert "SFMC_DURABILITY" in str(caught.value.advice)
    assert client.state_of({"customer_key": "orders", "request_id": "r"}) == "accepted"


def test_of_many_requests_each_has_the_answer_that_it_is_not_confirmed(client: Client) -> None:
    answers = client.submit_many([{"customer_key": "orders", "request_id": each} for each in ("a", "b")])

    assert [str(each).partition(" has ")[2] for each in answers] == [
        "not confirmed in time, by its disk or its replicas, what was recorded"
    ] * 2


class Impatient(ReadAccess):
    """What commands act with, where a confirmation has little time."""

    def ledger(self) -> RedisLedger:
        durability = Durability(kind="wait", replicas=1, records_ms=50)
        return RedisLedger(self.client, LedgerSettings(durability=durability))


@pytest.fixture
def access(own_valkey: Valkey) -> ReadAccess:
    """What commands act with, on a server whose replica is missing."""
    environ = {"SFMC_REDIS_URL": own_valkey.url, "SFMC_ACCOUNT_ID": "42"}
    settings = load(environ | {"SFMC_DURABILITY": "wait", "SFMC_WAIT_REPLICAS": "1"})
    return Impatient(settings)


CALL = replaying.Call(operator="op", key="k", reason="why")


def prepare(ledger: RedisLedger) -> None:
    """Requests in the states that operators meet, and the pause of a business unit."""
    for name in ("r", "cancelled", "bad", "unknown", "resolved"):
        ledger.accept(request(name))
    ledger.cancel("cancelled", "ann", "why")
    ledger.unresolved(request("bad"), Rejected("5", "it is not valid"), 0.0, Policy())
    for name in ("unknown", "resolved"):
        decision = ledger.claim(request(name), "worker", Policy(), Definition(customer_key=name))
        assert isinstance(decision, StartNow)
        ledger.record_intent(decision.lease, [])
        ledger.retry(decision.lease, NotApplied("http_400", "a server between says it"), 0.0)
        assert ledger.cancel(name, "ann", "why") == "start_unknown"
    ledger.resolve("resolved", None, "ann", "why", Policy())
    ledger.pause("mid:42", "ann", "why", None)


ACTS: dict[str, Callable[[ReadAccess], object]] = {
    "cancel": lambda access: actions.cancel(access, "r", "op", "why"),
    "force": lambda access: actions.force(access, "r", "op", "why"),
    "settle": lambda access: actions.settle(access, "bad", "op", "why"),
    "resolve": lambda access: resolving.resolve(access, "unknown", None, "op", "why"),
    "replay": lambda access: actions.replay(access, "bad", "op", "why"),
    "replay many": lambda access: replaying.replay_many(access, listing.Filter(state="rejected"), 9, CALL),
    "pause": lambda access: actions.pause(access, "all", "op", "why"),
    "resume": lambda access: actions.resume(access, "mid:42", "op", "why"),
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_what_an_operator_does_says_that_it_is_not_confirmed(
    own_valkey: Valkey, access: ReadAccess, act: Callable[[ReadAccess], object]
) -> None:
    prepare(ledger_at(own_valkey, Durability()))

    with pytest.raises((NotConfirmedError, ServiceUnavailableError), match="has not confirmed in time"):
        act(access)


REFUSED: dict[str, Callable[[ReadAccess], object]] = {
    "cancel": lambda access: actions.cancel(access, "cancelled", "op", "why"),
    "cancel unknown": lambda access: actions.cancel(access, "unknown", "op", "why"),
    "force": lambda access: actions.force(access, "cancelled", "op", "why"),
    "settle": lambda access: actions.settle(access, "cancelled", "op", "why"),
    "resolve": lambda access: resolving.resolve(access, "r", None, "op", "why"),
    "resolve by another": lambda access: resolving.resolve(access, "resolved", None, "op", "why"),
    "replay": lambda access: actions.replay(access, "r", "op", "why"),
    "follow": lambda access: resuming.follow_again(access, "r"),
    "pause": lambda access: actions.pause(access, "mid:42", "op", "why", expects="none"),
    "resume": lambda access: actions.resume(access, "all", "op", "why"),
    "resume changed": lambda access: actions.resume(access, "mid:42", "op", "why", expects="none"),
}


@pytest.mark.parametrize("act", REFUSED.values(), ids=REFUSED)
def test_what_the_ledger_refuses_an_operator_is_not_said_to_be_recorded(
    own_valkey: Valkey, access: ReadAccess, act: Callable[[ReadAccess], object]
) -> None:
    prepare(ledger_at(own_valkey, Durability()))

    with pytest.raises((ConflictError, NotFoundError, PreconditionError)):
        act(access)


def test_where_no_request_is_replayed_and_no_pause_ended_nothing_is_confirmed(
    own_valkey: Valkey, access: ReadAccess
) -> None:
    ledger = ledger_at(own_valkey, Durability())
    prepare(ledger)
    ledger.pause("all", "ann", "why", access.reader.now() - 1)

    assert replaying.replay_many(access, listing.Filter(state="completed"), 9, CALL).count == 0
    assert actions.resume(access, "all", "op").had_ended is not None


def test_dead_letters_of_sources_are_confirmed_where_they_are(
    own_valkey: Valkey, following: Valkey, other: Any
) -> None:
    letters = SourceDeadLetters(other, Keys(), Durability(kind="wait", replicas=1, records_ms=50))
    letters.add("drop", "1", b"bytes", "why")
    eventually(lambda: letters.confirm("drop", ["1"]), 30, "the replica has it")
    following.pause()
    letters.add("drop", "2", b"bytes", "why")

    with capture_logs() as logs:
        answers = [letters.confirm("drop", ["2"]), letters.confirm("drop", ["1", "lost"])]
    following.resume()
    assert (answers, [each["event"] for each in logs]) == ([False, False], ["dead_letters_not_confirmed"])


@needs_waitaof
def test_what_operators_do_is_confirmed_by_a_redis_that_is_full(own_valkey: Valkey, other: Any) -> None:
    ledger = ledger_at(own_valkey, DISK)
    ledger.accept(request("r"))
    other.config_set("maxmemory", 1)
    try:
        assert ledger.cancel("r", "ann", "night") == "cancelled"
        ledger.confirm([])
    finally:
        other.config_set("maxmemory", 0)

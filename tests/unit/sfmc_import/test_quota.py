"""What stands before a call: permits in lots, one probe over all processes, and what goes on while Redis is away."""

import os
import socket
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from sfmc_import.faults import NotApplied
from sfmc_import.ledger import LedgerSettings
from sfmc_import.ledger.quota import RedisQuota
from sfmc_import.ledger.quota_keys import USAGE
from sfmc_import.permit_lots import LOT_SECONDS, UNASKED_SECONDS, together
from sfmc_import.permits import FAILURES_THAT_OPEN, Circuit, Entry, Login, Permits, QuotaLimits, Share
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.quota import COUNTS_SECONDS, SharedQuota
from tests.support.ledger_world import FakeRedisWorld, World

MID, HOST = "510001234", "mc.soap.example"
DOWN = NotApplied("9", "in maintenance", account_wide=True)
LOGIN = NotApplied("login_failed", "the login is refused", account_wide=True)


class Counted:
    """Counts what is asked of the ledger; `is_away` lets it fail."""

    def __init__(self, quota: RedisQuota) -> None:
        self._quota = quota
        self.asked = 0
        self.needs: list[int] = []
        self.is_away = False

    def _ask(self) -> RedisQuota:
        self.asked += 1
        if self.is_away:
            raise LedgerUnavailableError("away")
        return self._quota

    def take(self, share: Share, need: int, want: int, mid: str, used: Mapping[str, int]) -> Permits:
        self.needs.append(need)
        return self._ask().take(share, need, want, mid, used)

    def probe(self, scope: str, probe: str) -> Circuit:
        return self._ask().probe(scope, probe)

    def report(
        self,
        scope: str,
        probe: str,
        epoch: int,
        outcome: str,
        *,
        code: str = "",
        text: str = "",
        asked: float = 0.0,
        by: str = "",
    ) -> Circuit:
        return self._ask().report(scope, probe, epoch, outcome, code=code, text=text, asked=asked, by=by)


class Account:
    """Processes of one account; their clocks go with that of the ledger."""

    def __init__(self, world: World, limit: int = 600) -> None:
        self.world, self.limit = world, limit
        self.ledger = Counted(world.ledger.quota(QuotaLimits(account=HOST, calls_per_minute=limit)))

    def process(self, share: Share | None = None, login: Login | None = None, role: str = "worker") -> SharedQuota:
        return SharedQuota(
            self.ledger,
            lambda: self.world.now_ms() / 1000,
            limit=self.limit,
            share=share,
            chance=lambda: 0.5,
            login=login,
            role=role,
        )


@pytest.fixture
def world() -> Iterator[World]:
    made = FakeRedisWorld(LedgerSettings())
    yield made
    made.close()


@pytest.fixture
def account(world: World) -> Account:
    return Account(world)


def enter(quota: SharedQuota, kind: str = "perform", mid: str = MID) -> Entry | NotApplied:
    return quota.enter(kind, mid, "Orders")  # type: ignore[arg-type]


def passed(quota: SharedQuota, kind: str = "perform", mid: str = MID) -> Entry:
    entry = enter(quota, kind, mid)
    assert isinstance(entry, Entry)
    return entry


def fail(quota: SharedQuota, times: int = FAILURES_THAT_OPEN, fault: NotApplied = DOWN, mid: str = MID) -> None:
    for _ in range(times):
        quota.leave(passed(quota, mid=mid), fault)


def test_many_calls_share_one_question_to_redis(world: World):
    account = Account(world, limit=60_000)
    quota = account.process()
    for _ in range(500):
        passed(quota)

    assert account.ledger.asked < 500 / 10


def test_without_a_limit_a_process_asks_once_in_a_while(world: World):
    account = Account(world, limit=0)
    quota = account.process()
    for _ in range(500):
        passed(quota)
    assert account.ledger.asked == 1
    world.advance(LOT_SECONDS)
    passed(quota)

    assert account.ledger.asked == 2


def test_the_calls_of_a_start_take_their_permits_together(account: Account):
    quota = account.process()
    with together():
        passed(quota, "definition")
        asked = account.ledger.asked
        while isinstance(quota.enter("perform", MID, ""), Entry) and account.ledger.asked == asked:
            pass

    others = account.process()
    with together():
        while isinstance(enter(others), Entry):
            pass
    with together():
        held = enter(others, "definition")
    assert isinstance(held, NotApplied)
    assert held.code == "quota"
    assert held.account_wide
    assert held.retry_after is not None
    assert held.retry_after > 0


def test_permits_that_a_start_did_not_use_are_there_for_the_next(account: Account):
    quota = account.process()
    for _ in range(10):
        with together():
            passed(quota)

    # A lot of 3 and two of 6: without what came back it would be more.
    assert account.ledger.asked == 3


def test_with_a_small_limit_what_a_start_did_not_use_waits_for_the_next_as_long_as_permits_take_to_flow_in(
    world: World,
):
    account = Account(world, limit=60)
    quota = account.process()
    with together():
        passed(quota, "definition")
    world.advance(2.9)
    asked = account.ledger.asked
    with together():
        passed(quota, "definition")
        passed(quota)
    # Two of the three are those that the first one did not use.
    assert account.ledger.asked == asked + 1
    assert account.ledger.needs[-1] == 1


def test_of_many_that_wait_one_comes_for_each_permit_that_flows_in(world: World):
    account = Account(world, limit=60)
    others = account.process()
    with together():
        passed(others)
    with together():
        enter(others)
    waits = []
    for _ in range(4):
        with together():
            held = enter(account.process())
        assert isinstance(held, NotApplied)
        waits.append(held.retry_after)

    assert all(0.9 < after - before < 1.3 for before, after in pairwise(waits))


def test_permits_of_an_old_lot_are_not_used(account: Account):
    quota = account.process()
    passed(quota)
    world = account.world
    world.advance(LOT_SECONDS)
    asked = account.ledger.asked
    passed(quota)

    assert account.ledger.asked == asked + 1


def test_an_open_circuit_holds_calls_of_every_process(account: Account):
    one, other = account.process(), account.process()
    fail(one)
    held = enter(other)

    assert isinstance(held, NotApplied)
    assert (held.code, held.account_wide) == ("circuit_open", True)
    assert held.retry_after == 5 + 0.5 * 5
    assert "maintenance" in held.text


def test_of_twenty_processes_one_tries_when_the_pause_is_over(account: Account):
    crowd = [account.process() for _ in range(20)]
    fail(crowd[0])
    assert all(isinstance(enter(each), NotApplied) for each in crowd)
    account.world.advance(6)
    with ThreadPoolExecutor(20) as threads:
        lock = threading.Lock()

        def alone(each: SharedQuota) -> Entry | NotApplied:
            with lock:  # fakeredis runs one script at a time
                return enter(each)

        entries = [entry for entry in threads.map(alone, crowd) if isinstance(entry, Entry)]

    assert len(entries) == 1
    assert entries[0].probes == ("",)


def test_the_answer_to_the_probe_lets_all_pass_again(account: Account):
    one, other = account.process(), account.process()
    fail(one)
    assert isinstance(enter(other), NotApplied)
    account.world.advance(6)
    one.leave(passed(one), "an answer")
    account.world.advance(11)

    assert isinstance(enter(other), Entry)


def test_a_probe_that_raised_gives_its_place_back(account: Account):
    one, other = account.process(), account.process()
    fail(one)
    assert isinstance(enter(other), NotApplied)
    account.world.advance(6)
    one.leave(passed(one), None)

    assert passed(other).probes == ("",)


def test_calls_under_way_when_a_circuit_opens_do_not_close_it(account: Account):
    one, other = account.process(), account.process()
    late = passed(other)
    fail(one)
    other.leave(late, "an answer that was sent before")

    assert isinstance(enter(one), NotApplied)


def test_a_login_that_fails_holds_its_business_unit_alone(account: Account):
    quota = account.process()
    fail(quota, fault=LOGIN, mid="7")

    assert isinstance(enter(quota, mid="7"), NotApplied)
    assert isinstance(enter(quota, mid=MID), Entry)


OLD, NEW = Login(id="01d0", shown="client id abcd…"), Login(id="9e3c", shown="client id abcd…")
OF_A_LOGIN = [
    NotApplied(code, "no", account_wide=True)
    for code in ("login_failed", "12", "token_refused", "token_unavailable", "proxy_refused")
]


@pytest.mark.parametrize("fault", OF_A_LOGIN, ids=lambda fault: fault.code)
def test_a_login_that_fails_holds_no_process_with_another_login(account: Account, fault: NotApplied):
    bad, good = account.process("rest", OLD), account.process(login=NEW)
    fail(bad, fault=fault)

    assert isinstance(enter(account.process(login=OLD)), NotApplied)
    assert isinstance(enter(good), Entry)


def test_what_fails_for_the_way_to_a_login_holds_all_its_business_units(account: Account):
    quota = account.process(login=OLD)
    fail(quota, fault=NotApplied("token_unavailable", "HTTP 500", account_wide=True), mid="7")

    assert isinstance(enter(quota, mid=MID), NotApplied)


def test_a_failure_of_the_service_holds_the_processes_of_every_login(account: Account):
    fail(account.process(login=OLD))

    assert isinstance(enter(account.process(login=NEW)), NotApplied)


def test_a_login_that_fails_does_not_say_that_the_service_answers_again(account: Account):
    fail(account.process(login=NEW))
    account.world.advance(6)
    bad = account.process(login=OLD)
    assert isinstance(enter(bad), Entry)
    account.world.advance(200)
    entry = passed(bad)
    assert "" in entry.probes
    bad.leave(entry, LOGIN)

    assert passed(account.process(login=NEW)).probes == ("",)


def test_a_held_call_names_the_process_and_the_login_that_failed(account: Account):
    quota = account.process(login=OLD)
    fail(quota, fault=LOGIN)
    held = enter(quota)

    assert isinstance(held, NotApplied)
    assert held.cause is not None
    by = f"(client id abcd… of the worker {socket.gethostname()}:{os.getpid()})"
    assert held.text == f"no call is made for now: login_failed: the login is refused {by}"
    assert held.cause == ("login_failed", f"the login is refused {by}")


def test_a_held_call_names_each_process_whose_calls_failed_by_what_it_does(account: Account):
    worker, watcher = account.process(login=OLD), account.process(login=OLD, role="watcher")
    for process in (worker, watcher, worker):
        entry = passed(process)
        process.leave(entry, LOGIN)
    held, place = enter(account.process(login=OLD)), f"{socket.gethostname()}:{os.getpid()}"

    assert isinstance(held, NotApplied)
    assert held.text.endswith(f"(client id abcd… of the worker {place}, client id abcd… of the watcher {place})")


def test_starts_that_http_refuses_are_no_failures_of_the_login(account: Account):
    quota, refused = account.process(), NotApplied("http_refused", "403", account_wide=True)
    fail(quota, 3 * FAILURES_THAT_OPEN, refused)
    assert isinstance(enter(account.process(), "runs"), Entry)

    for _ in range(FAILURES_THAT_OPEN):
        quota.leave(passed(quota, "runs"), refused)
    assert isinstance(enter(account.process(), "runs"), NotApplied)


def test_answers_of_the_quota_itself_are_no_failures_of_the_account(account: Account):
    quota = account.process()
    fail(quota, times=10, fault=NotApplied("quota", "held", account_wide=True))

    assert isinstance(enter(quota), Entry)


def test_while_redis_is_away_no_start_is_sent_and_runs_are_followed(account: Account):
    quota = account.process()
    account.ledger.is_away = True
    held = enter(quota)
    assert isinstance(held, NotApplied)
    assert (held.code, held.account_wide) == ("ledger_down", True)

    asked = account.ledger.asked
    assert all(isinstance(enter(quota, "poll"), Entry) for _ in range(10))
    assert account.ledger.asked == asked
    account.world.advance(UNASKED_SECONDS)
    assert isinstance(enter(quota, "poll"), Entry)
    assert account.ledger.asked == asked + 1


def test_what_was_used_comes_to_the_ledger_also_after_an_outage(account: Account):
    quota = account.process()
    account.ledger.is_away = True
    passed(quota, "poll")
    quota.flush()
    account.ledger.is_away = False
    quota.flush()
    quota.flush()

    found = account.world.client.hgetall(account.world.keys.name_of(USAGE, HOST, "2027-01-15"))
    assert found == {b"all": b"1", b"k:poll": b"1", b"u:510001234": b"1", b"d:510001234:Orders": b"1"}


def test_counts_that_nothing_has_brought_for_long_are_brought_by_themselves(account: Account):
    quota = account.process()
    passed(quota, "poll")
    asked = account.ledger.asked
    quota.flush(older_than=COUNTS_SECONDS)
    account.world.advance(COUNTS_SECONDS)
    quota.flush(older_than=COUNTS_SECONDS)
    quota.flush(older_than=COUNTS_SECONDS)

    assert account.ledger.asked == asked + 1


def test_a_new_process_asks_once_so_that_a_budget_of_its_own_counts(account: Account):
    quota = account.process()
    quota.flush(older_than=COUNTS_SECONDS)
    account.world.advance(COUNTS_SECONDS)
    quota.flush(older_than=COUNTS_SECONDS)

    assert account.ledger.asked == 1


def test_a_process_that_is_no_worker_takes_from_the_rest(account: Account):
    worker, watcher = account.process(), account.process("rest")
    while isinstance(enter(watcher), Entry):
        pass

    assert isinstance(enter(worker), Entry)

"""The quota of an account: permits on Redis time, fair shares, budgets, and one probe while a circuit is open."""

from dataclasses import replace

import pytest

from sfmc_import.faults import NotApplied
from sfmc_import.ledger.quota_keys import CIRCUIT, HELD, QUOTA, USAGE
from sfmc_import.permits import FAILURES_THAT_OPEN, Circuit, Permits, QuotaLimits, Share
from sfmc_import.states import Reconcile, StartNow
from tests.contract.ledger.scenario import MID, Scenario

HOST = "mc.soap.example"
LIMITS = QuotaLimits(account=HOST, calls_per_minute=600, probe_seconds=100.0)
DAY = 86_400
MANY = 1000


class Asker:
    """One process of the account; all of them see one ledger."""

    def __init__(self, scenario: Scenario, limits: QuotaLimits = LIMITS) -> None:
        self.world = scenario.world
        self.quota = scenario.ledger.quota(limits)

    def take(self, share: Share, need: int = 1, want: int | None = None, **used: int) -> Permits:
        return self.quota.take(share, need, want or need, MID, used)

    def take_all(self, share: Share) -> int:
        found = 0
        while found < MANY and (count := self.take(share).count):
            found += count
        return found

    def fail(self, times: int = FAILURES_THAT_OPEN, scope: str = "", epoch: int = 0) -> Circuit:
        found = [self.report("failed", scope=scope, epoch=epoch) for _ in range(times)]
        return found[-1]

    def report(self, outcome: str, probe: str = "", scope: str = "", epoch: int = 0, *, asked: float = 0.0) -> Circuit:
        return self.quota.report(scope, probe, epoch, outcome, code="9", text="maintenance", asked=asked)


# --- Permits.


def test_no_minute_has_more_calls_than_the_limit(scenario: Scenario):
    asker = Asker(scenario)
    asker.take_all("start")
    taken = 0
    for _ in range(120):
        asker.world.advance(0.5)
        taken += sum(asker.take_all(share) for share in ("start", "follow", "rest"))

    assert 520 <= taken <= 600


def test_each_share_has_its_part_also_while_another_takes_whatever_it_gets(scenario: Scenario):
    asker = Asker(scenario)
    asker.take_all("follow")
    asker.take_all("start")
    follow = 0
    for _ in range(60):
        asker.world.advance(1)
        asker.take_all("start")
        follow += asker.take("follow", want=20).count

    assert follow >= 0.9 * 0.3 * 0.9 * 600


def test_what_others_leave_a_share_may_use(scenario: Scenario):
    asker = Asker(scenario)
    asker.take_all("start")
    taken = 0
    for _ in range(60):
        asker.world.advance(1)
        taken += asker.take_all("start")

    assert taken >= 0.95 * 0.9 * 600


def test_a_start_gets_all_its_permits_or_none(scenario: Scenario):
    asker = Asker(scenario)
    asker.take_all("start")
    asker.world.advance(0.15)

    assert asker.take("start", need=3).count == 0


def test_at_the_least_limit_a_start_gets_its_permits(scenario: Scenario):
    asker = Asker(scenario, replace(LIMITS, calls_per_minute=60))
    asker.take_all("start")
    asker.take_all("follow")
    for _ in range(30):
        asker.world.advance(1)
        asker.take_all("follow")

    assert asker.take("start", need=3).count == 3


def test_who_gets_none_is_given_a_time_of_its_own(scenario: Scenario):
    asker = Asker(scenario)
    asker.take_all("start")
    waits = [asker.take("start").wait for _ in range(3)]

    assert 0 < waits[0] < waits[1] < waits[2] < 1
    asker.world.advance(waits[0])
    assert asker.take("start").count == 1


def test_the_first_of_those_who_wait_are_given_no_later_time_than_ten_minutes(scenario: Scenario):
    asker = Asker(scenario, replace(LIMITS, calls_per_minute=60))
    asker.take_all("start")

    assert max(asker.take("start", need=3).wait for _ in range(600)) == 600


def test_a_limit_of_0_gives_whatever_is_asked_for(scenario: Scenario):
    asker = Asker(scenario, replace(LIMITS, calls_per_minute=0))

    assert asker.take("start", want=100_000).count == 100_000


def test_lost_permits_begin_anew_with_a_part_of_a_minute(scenario: Scenario):
    asker = Asker(scenario)
    asker.take_all("start")
    asker.world.client.delete(asker.world.keys.name_of(QUOTA, HOST))

    assert 1 <= asker.take_all("start") <= 60


def test_a_clock_that_goes_back_neither_stops_the_permits_nor_gives_more(scenario: Scenario):
    asker = Asker(scenario)
    asker.take_all("start")
    [asker.take("start") for _ in range(50)]
    asker.world.advance(-DAY)

    assert asker.take("start").wait < 1
    asker.world.advance(1)
    assert 1 <= asker.take_all("start") <= 10


def test_a_clock_that_leaps_forward_gives_no_more_than_a_part_of_a_minute(scenario: Scenario):
    asker = Asker(scenario)
    asker.take_all("start")
    asker.world.advance(365 * DAY)

    assert sum(asker.take_all(share) for share in ("start", "follow", "rest")) <= 60


def test_business_units_of_one_account_share_its_limit(scenario: Scenario):
    asker = Asker(scenario)
    asker.take_all("start")

    assert scenario.ledger.quota(LIMITS).take("start", 1, 1, "510009999", {}).count == 0


# --- What was used, and budgets.


def used(asker: Asker, period: str) -> dict[str, int]:
    found = asker.world.client.hgetall(asker.world.keys.name_of(USAGE, HOST, period))
    return {name.decode(): int(count) for name, count in found.items()}


def test_calls_are_counted_by_day_month_and_year(scenario: Scenario):
    asker = Asker(scenario)
    asker.take("start", **{"all": 2, "k:perform": 1, "d:1:A": 2})
    asker.take("start", **{"all": 1, "d:1:A": 1})

    assert used(asker, "2027-01-15") == {"all": 3, "k:perform": 1, "d:1:A": 3}
    assert used(asker, "2027-01") == {"all": 3, "k:perform": 1, "d:1:A": 3}
    assert used(asker, "2027") == {"all": 3, "k:perform": 1}


def test_a_day_is_one_of_the_zone_of_the_account(scenario: Scenario):
    asker = Asker(scenario, replace(LIMITS, time_zone="Pacific/Kiritimati"))
    asker.quota._clock = lambda: asker.world.now_ms() / 1000
    asker.world.advance(10 * 3600)
    asker.take("start", all=1)

    assert used(asker, "2027-01-16") == {"all": 1}


def test_a_budget_warns_once_at_80_percent_and_once_when_it_is_used(scenario: Scenario):
    asker = Asker(scenario, replace(LIMITS, per_day=10))
    for count in (7, 1, 1, 1, 1):
        asker.take("start", all=count)

    events = [(each["type"], each["subject"], each["data"]["used"]) for each in asker.world.events()]
    assert events == [("sfmc.import.budget_warned", "2027-01-15", 8), ("sfmc.import.budget_spent", "2027-01-15", 10)]
    assert asker.take("start").count == 1


@pytest.mark.parametrize(("day", "year", "spent"), [(10, 0, "day"), (0, 10, "year"), (10, 10, "year"), (10, 20, "day")])
def test_a_spent_budget_holds_starts_and_not_the_following_of_runs(scenario: Scenario, day: int, year: int, spent: str):
    asker = Asker(scenario, replace(LIMITS, per_day=day, per_year=year, when_spent="hold"))
    asker.take("start", all=10)
    held = asker.take("start")

    assert (held.count, held.why, held.wait, held.budget) == (0, "budget", 16 * 3600, spent)
    assert asker.take("rest").count == 0
    assert asker.take("follow").count == 1


def test_after_the_day_its_budget_is_new(scenario: Scenario):
    asker = Asker(scenario, replace(LIMITS, per_day=10, when_spent="hold"))
    asker.take("start", all=10)
    asker.world.advance(asker.take("start").wait)

    assert asker.take("start").count == 1
    assert Asker(scenario, replace(LIMITS, per_year=100, when_spent="hold")).take("start").count == 1


def test_a_budget_that_was_raised_warns_and_is_spent_anew(scenario: Scenario):
    Asker(scenario, replace(LIMITS, per_day=10)).take("start", all=10)
    raised = Asker(scenario, replace(LIMITS, per_day=20))
    for count in (5, 1, 4, 1):
        raised.take("start", all=count)

    found = [event for event in scenario.world.events() if "budget" in event["type"]]
    said = [
        (event["type"].removeprefix("sfmc.import."), event["data"]["budget"], event["data"]["used"]) for event in found
    ]
    assert said == [("budget_spent", 10, 10), ("budget_warned", 20, 16), ("budget_spent", 20, 20)]
    assert len({event["id"] for event in found}) == 3


SPENT = NotApplied("budget", "the budget of calls of the account is used", account_wide=True)


def waits_unread(scenario: Scenario) -> str:
    return scenario.ledger.unresolved(scenario.arrives("a"), SPENT, 3600, scenario.policy)


def waits_to_start(scenario: Scenario) -> str | None:
    scenario.arrives("a")
    return scenario.ledger.retry(scenario.go("a"), SPENT, 3600)


def waits_in_doubt(scenario: Scenario) -> str:
    scenario.arrives("a")
    scenario.in_doubt("a")
    scenario.world.advance(60)
    assert scenario.ledger.reconcile_later(scenario.look("a").lease, SPENT, 3600)
    return "reconciling"


@pytest.mark.parametrize("case", [waits_unread, waits_to_start, waits_in_doubt])
def test_what_a_budget_held_goes_on_as_soon_as_it_is_not_spent(scenario: Scenario, case):
    spent = Asker(scenario, replace(LIMITS, per_day=10, when_spent="hold"))
    spent.take("start", all=10)
    state = case(scenario)
    spent.take("start")
    assert (scenario.world.state("a"), scenario.due_in("a")) == (state, 3600)
    Asker(scenario, replace(LIMITS, per_day=20, when_spent="hold")).take("rest", need=0)

    assert scenario.due_in("a") == 0
    assert isinstance(scenario.claim("a"), (StartNow, Reconcile))


def test_a_budget_that_is_not_spent_wakes_nothing_that_waits_for_something_else(scenario: Scenario):
    scenario.arrives("a")
    scenario.ledger.retry(scenario.go("a"), SPENT, 3600)
    scenario.world.advance(3600)
    scenario.ledger.retry(scenario.go("a"), NotApplied("9", "in maintenance"), 60)
    scenario.arrives("b", key="Other")
    scenario.ledger.retry(scenario.go("b"), NotApplied("9", "in maintenance"), 60)
    Asker(scenario).take("rest", need=0)

    assert [scenario.due_in(name) for name in "ab"] == [60, 60]
    assert scenario.world.client.zcard(scenario.world.keys.name_of(HELD)) == 0


def test_only_what_a_budget_holds_is_woken_by_it(scenario: Scenario):
    for name, fault in (("a", SPENT), ("b", NotApplied("9", "in maintenance"))):
        scenario.arrives(name, key=name)
        scenario.ledger.retry(scenario.go(name), fault, 60)

    assert scenario.world.client.zrange(scenario.world.keys.name_of(HELD), 0, -1) == [b"a"]


def test_a_run_that_was_held_by_a_budget_before_its_start_is_polled_as_others(scenario: Scenario):
    scenario.arrives("a")
    scenario.ledger.retry(scenario.go("a"), SPENT, 60)
    scenario.world.advance(60)
    scenario.start("a")
    due = scenario.due_in("a")
    Asker(scenario).take("rest", need=0)

    assert scenario.due_in("a") == due


def test_what_was_cancelled_while_a_budget_held_it_stays_so(scenario: Scenario):
    scenario.arrives("a")
    scenario.ledger.retry(scenario.go("a"), SPENT, 3600)
    scenario.ledger.cancel("a", "ann", None)
    before = scenario.world.record("a")
    Asker(scenario).take("rest", need=0)

    assert scenario.world.record("a") == before
    assert scenario.due_in("a") is None


# --- The circuit breaker.


def test_a_circuit_opens_after_some_failures_without_an_answer_between(scenario: Scenario):
    asker = Asker(scenario)
    asker.fail(FAILURES_THAT_OPEN - 1)
    asker.report("answered")
    assert asker.fail(FAILURES_THAT_OPEN - 1).left is None

    assert asker.fail(1).left == 5
    assert asker.take("start").circuits[""].left == 5


def test_failures_that_lie_far_apart_do_not_open_it(scenario: Scenario):
    asker = Asker(scenario)
    for _ in range(10):
        assert asker.fail(1).left is None
        asker.world.advance(61)


def test_one_call_at_a_time_tries_an_open_circuit(scenario: Scenario):
    asker = Asker(scenario)
    asker.fail()
    assert asker.quota.probe("", "p1").left == 5
    asker.world.advance(5)

    assert asker.quota.probe("", "p1").is_probe
    assert [asker.quota.probe("", f"q{number}").is_probe for number in range(20)] == [False] * 20
    assert asker.quota.probe("", "p1").is_probe


def test_an_answer_to_the_probe_closes_it_and_a_failure_opens_it_for_longer(scenario: Scenario):
    asker = Asker(scenario)
    asker.fail()
    for pause in (10, 20, 40, 60, 60):
        asker.world.advance(60)
        assert asker.quota.probe("", "p").is_probe
        assert asker.report("failed", "p").left == pause
    asker.world.advance(60)
    assert asker.quota.probe("", "p").is_probe

    assert asker.report("answered", "p").left is None
    assert asker.quota.probe("", "q").left is None


def test_calls_that_were_under_way_neither_close_it_nor_count_again(scenario: Scenario):
    asker = Asker(scenario)
    asker.fail()
    asker.report("answered")
    assert asker.fail(5).left == 5
    asker.world.advance(5)
    assert asker.quota.probe("", "p").is_probe
    asker.report("answered", "p")

    assert asker.fail(FAILURES_THAT_OPEN).left is None


def test_a_pause_that_the_service_asks_for_is_kept(scenario: Scenario):
    asker = Asker(scenario)
    asker.fail(2)
    assert asker.report("failed", asked=120).left == 120
    assert asker.report("failed", asked=300).left == 300
    assert asker.report("failed", asked=200).left == 300


def test_a_probe_whose_process_died_gives_its_place_to_another_after_a_time(scenario: Scenario):
    asker = Asker(scenario)
    asker.fail()
    asker.world.advance(5)
    asker.quota.probe("", "dead")
    assert asker.quota.probe("", "p").left == 5
    asker.world.advance(99.9)
    assert not asker.quota.probe("", "p").is_probe
    asker.world.advance(0.1)

    assert asker.quota.probe("", "p").is_probe


def test_a_probe_that_is_given_back_can_be_taken_at_once(scenario: Scenario):
    asker = Asker(scenario)
    asker.fail()
    asker.world.advance(5)
    asker.quota.probe("", "p")
    asker.report("unknown", "q")
    assert not asker.quota.probe("", "q").is_probe
    asker.report("unknown", "p")

    assert asker.quota.probe("", "q").is_probe


def test_after_an_outage_calls_come_back_a_few_at_first(scenario: Scenario):
    asker = Asker(scenario, replace(LIMITS, calls_per_minute=0))
    asker.fail()
    asker.world.advance(5)
    asker.quota.probe("", "p")
    asker.report("answered", "p")

    assert asker.take("start", want=1000).count == 10
    assert asker.take("start").wait == 1
    asker.world.advance(1)
    assert asker.take("start", want=1000).count == 10
    asker.world.advance(9)
    assert asker.take("start", want=1000).count == 1000


def test_a_clock_that_goes_back_does_not_lengthen_the_pause(scenario: Scenario):
    asker = Asker(scenario)
    asker.fail()
    asker.world.advance(-DAY)

    assert asker.quota.probe("", "p").left == 5


def test_the_login_of_one_business_unit_has_a_circuit_of_its_own(scenario: Scenario):
    asker = Asker(scenario)
    asker.fail(scope="5")

    assert asker.quota.probe("5", "p").left == 5
    assert asker.quota.probe("", "p").left is None
    assert set(asker.take("start").circuits) == {"5"}


def test_a_lost_circuit_is_closed(scenario: Scenario):
    asker = Asker(scenario)
    asker.fail()
    asker.world.client.delete(asker.world.keys.name_of(CIRCUIT, HOST))

    assert asker.quota.probe("", "p").left is None


def test_a_circuit_that_no_call_has_touched_for_ten_minutes_after_its_pause_is_forgotten(scenario: Scenario):
    asker = Asker(scenario)
    asker.fail(scope="@01d0")
    asker.fail(2, scope="@9e3c")
    asker.report("failed", scope="@9e3c", asked=3000)
    asker.world.advance(5 + 600)
    assert set(asker.take("start").circuits) == {"@01d0", "@9e3c"}
    asker.world.advance(1)

    assert set(asker.take("start").circuits) == {"@9e3c"}
    assert asker.world.client.hkeys(asker.world.keys.name_of(CIRCUIT, HOST)) == [b"@9e3c"]


def test_a_circuit_names_all_whose_calls_failed_the_newest_first(scenario: Scenario):
    asker = Asker(scenario)

    def fails(*names: str, probe: str = "p") -> str:
        for each in names:
            asker.quota.report("@1", probe, 0, "failed", code="login_failed", by=each)
        return asker.take("start").circuits["@1"].by

    assert fails("one", "two", "one") == "one, two"
    assert asker.quota.probe("@1", "p").by == "one, two"
    asker.world.advance(6)
    asker.quota.probe("@1", "q")
    assert fails("three", probe="q") == "three, one, two"
    assert fails("two") == "two, three, one"
    assert fails("") == "two, three, one"
    assert fails("four", "five") == "five, four, two, three, one"
    assert fails("six") == "six, five, four, two, three and others"
    assert fails("six") == "six, five, four, two, three and others"


def test_a_circuit_forgets_who_failed_before_a_call_was_answered(scenario: Scenario):
    asker = Asker(scenario)
    asker.quota.report("@1", "p", 0, "failed", code="login_failed", by="one")
    asker.quota.report("@1", "p", 0, "answered")
    for _ in range(3):
        asker.quota.report("@1", "p", 0, "failed", code="login_failed", by="two")

    assert asker.take("start").circuits["@1"].by == "two"


def hold(scenario: Scenario, *names: str) -> None:
    for name in names:
        scenario.arrives(name, key=name)
        scenario.ledger.retry(scenario.go(name), SPENT, 3600)


def test_many_that_have_ended_do_not_hold_up_those_behind_them(scenario: Scenario):
    ended = [f"a{number}" for number in range(120)]
    hold(scenario, *ended)
    for name in ended:
        scenario.ledger.cancel(name, "ann", None)
    scenario.world.advance(1)
    hold(scenario, "z")
    Asker(scenario).take("rest", need=0)

    assert scenario.due_in("z") == 0


def test_those_that_a_budget_held_are_woken_a_hundred_at_a_time(scenario: Scenario):
    names = [f"a{number}" for number in range(110)]
    hold(scenario, *names)
    Asker(scenario).take("rest", need=0)

    assert sum(scenario.due_in(name) == 0 for name in names) == 100

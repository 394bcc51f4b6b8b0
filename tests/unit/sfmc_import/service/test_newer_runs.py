"""Before a start only newer runs are listed; that ids grow is not relied on, so an older id is never just left out."""

from dataclasses import replace

import pytest

from sfmc_import.faults import Ambiguous, NotApplied
from sfmc_import.policy import Policy
from sfmc_import.runs import Definition
from tests.support.checks import by_request, name_of
from tests.support.system import MID, System
from tests.unit.sfmc_import.service.conftest import KEY, request
from tests.unit.sfmc_import.service.test_answers_without_proof import HTTP_REFUSED
from tests.unit.sfmc_import.service.test_forgotten_starts import us_date

HOUR, DAY = 3600.0, 24 * 3600.0
LOST = Ambiguous("read_timeout", "no answer")
ONCE, AGAIN = Policy(frequency=0, when_ambiguous="stop"), Policy(frequency=0, when_ambiguous="repeat")


@pytest.fixture(autouse=True)
def knows_a_run_and_others_are_older(system: System):
    """The ledger knows the newest run; twenty others of long ago belong to no request."""
    for _ in range(20):
        ran_elsewhere(system, 140 * DAY)
    system.policy = ONCE
    system.start(request("first"))
    system.live()


@pytest.fixture
def asked(system: System, monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Above which id runs were asked for, call by call."""
    bounds: list[str | None] = []
    runs_of = system.cloud.runs_of

    def noted(mid: str, key: str, *, above: str | None = None) -> object:
        bounds.append(above)
        return runs_of(mid, key, above=above)

    monkeypatch.setattr(system.cloud, "runs_of", noted)
    return bounds


def ran_elsewhere(system: System, ago: float | None, number: int | None = None) -> str:
    """Somebody else has started the definition; with `number` its id is lower than those of all others."""
    task_id = system.cloud.started_elsewhere(KEY)
    date = None if ago is None else us_date(system.world.now_ms() / 1000 - ago)
    return renumbered(system, task_id, number or int(task_id), date)


def renumbered(system: System, task_id: str, number: int, date: str | None) -> str:
    kept = system.cloud._runs.pop(task_id)
    kept.row = replace(kept.row, task_id=str(number), start_date=date)
    system.cloud._runs[str(number)] = kept
    return str(number)


def starts_below(system: System) -> None:
    """The next start gets an id that is lower than all that are known, and no answer."""
    apply = system.cloud._apply

    def low(mid: str, key: str) -> str:
        system.cloud._apply = apply
        return renumbered(system, apply(mid, key), 7, us_date(system.world.now_ms() / 1000))

    system.cloud._apply = low


def last(system: System) -> dict:
    return by_request(system.world.events())["a"][-1]


def newest(system: System) -> str:
    return system.cloud.performs[-1].task_id


def test_the_first_start_of_a_business_unit_lists_all_runs_and_later_ones_the_newer(system: System, asked):
    known = newest(system)
    system.start(request())
    assert asked == [known]

    system.cloud.add(Definition(customer_key=KEY), mid="7")
    system.start(replace(request("b"), mid="7"))
    assert asked == [known, None]


def test_a_setting_lists_all_runs_before_each_start(system: System, asked):
    system.deps = system.deps_over(system.world.ledger, system.cloud, whole_baseline=True)
    system.start(request())

    assert asked == [None]


def test_the_intent_has_only_the_newer_runs(system: System):
    ran_elsewhere(system, 60)
    other = ran_elsewhere(system, 30)
    known = system.world.ledger.unassigned_task_ids(MID, [other])
    system.cloud.fail("start", LOST)
    system.start(request())
    system.live()

    assert known == {other}
    assert name_of(last(system)) == "start_unknown"
    assert "candidates" not in last(system)["data"]


def test_reconciling_lists_all_runs_and_finds_the_one_above(system: System, asked):
    system.cloud.fail("start", LOST, applied=True)
    system.start(request())
    system.live()

    assert asked[1:] == [None] * len(asked[1:])
    assert len(asked) > 1
    assert (name_of(last(system)), last(system)["data"]["task_id"]) == ("completed", newest(system))
    assert len(system.cloud.performs) == 22


@pytest.mark.parametrize("policy", [ONCE, AGAIN])
def test_a_start_that_never_arrived_is_judged_as_before_while_all_other_runs_are_old(system: System, policy: Policy):
    system.policy = policy
    system.cloud.fail("start", LOST)
    system.start(request())
    system.live()

    assert name_of(last(system)) == ("start_unknown" if policy is ONCE else "completed")
    assert "candidates" not in last(system)["data"]


@pytest.mark.parametrize("policy", [ONCE, AGAIN])
def test_a_start_whose_id_is_lower_than_others_is_never_made_twice(system: System, policy: Policy):
    system.policy = policy
    starts_below(system)
    system.cloud.fail("start", LOST, applied=True)
    system.start(request())
    performs = len(system.cloud.performs)
    system.live()

    assert (name_of(last(system)), last(system)["data"]["candidates"]) == ("start_unknown", ["7"])
    assert len(system.cloud.performs) == performs


def test_before_a_start_is_sent_again_its_run_below_is_seen(system: System, asked):
    system.policy = AGAIN
    starts_below(system)
    system.cloud.fail("start", HTTP_REFUSED, applied=True)
    system.start(request())
    performs = len(system.cloud.performs)
    system.live()

    assert (name_of(last(system)), last(system)["data"]["candidates"]) == ("start_unknown", ["7"])
    assert len(system.cloud.performs) == performs
    assert asked[1:] == [None] * len(asked[1:])


@pytest.mark.parametrize("date", [60.0, 3 * HOUR, None])
def test_a_run_of_others_below_is_never_taken_for_the_start(system: System, date: float | None):
    ran_elsewhere(system, date, 8)
    system.cloud.fail("start", LOST)
    system.start(request())
    system.live()

    assert (name_of(last(system)), last(system)["data"]["candidates"]) == ("start_unknown", ["8"])


@pytest.mark.parametrize("date", ["1/1/0001 12:00:00 AM", "1/1/1900 12:00:00 AM", "soon", ""])
def test_a_date_that_says_nothing_leaves_a_run_below_in_doubt(system: System, date: str):
    starts_below(system)
    system.cloud.fail("start", LOST, applied=True)
    system.start(request())
    renumbered(system, "7", 7, date)
    system.live()

    assert last(system)["data"]["candidates"] == ["7"]


def test_the_run_above_is_taken_beside_one_below(system: System):
    ran_elsewhere(system, 60, 8)
    system.cloud.fail("start", LOST, applied=True)
    system.start(request())
    system.live()

    assert (name_of(last(system)), last(system)["data"]["task_id"]) == ("completed", newest(system))


def test_an_old_run_above_that_the_service_did_not_list_is_not_taken_for_the_start(system: System):
    other = ran_elsewhere(system, 140 * DAY)
    runs_of = system.cloud.runs_of
    system.cloud.runs_of = lambda *asked, above=None: runs_of(*asked) if above is None else ()
    system.cloud.fail("start", LOST)
    system.start(request())
    system.live()

    assert (name_of(last(system)), last(system)["data"]["candidates"]) == ("start_unknown", [other])


def test_a_service_that_lists_all_runs_though_asked_for_the_newer_changes_nothing(system: System):
    runs_of = system.cloud.runs_of
    system.cloud.runs_of = lambda *asked, **_: runs_of(*asked)
    ran_elsewhere(system, 60, 8)
    system.cloud.fail("start", LOST)
    system.start(request())
    system.live()

    assert name_of(last(system)) == "start_unknown"
    assert "candidates" not in last(system)["data"]


def test_after_lost_writes_all_runs_are_listed(system: System, asked):
    system.world.advance(1)
    system.world.ledger.write_probe("worker", 2)
    system.submit(request())
    system.live()

    assert name_of(last(system)) == "completed"
    assert set(asked) == {None}


def test_a_row_that_comes_late_and_above_is_waited_for(system: System):
    system.cloud.hidden_looks = 3
    system.cloud.fail("start", LOST, applied=True)
    system.start(request())
    system.live()

    assert name_of(last(system)) == "completed"


def test_while_newer_runs_cannot_be_asked_for_nothing_is_sent(system: System):
    performs = len(system.cloud.performs)
    system.cloud.fail("runs_of", NotApplied("9", "in maintenance", account_wide=True), times=3)
    outcome = system.start(request())

    assert (outcome.state, len(system.cloud.performs)) == ("retrying", performs)

"""Following and sweeping: batches, ends, postponements."""

from collections.abc import Collection

import pytest

from sfmc_import import following
from sfmc_import.faults import NotApplied, Rejected
from sfmc_import.policy import Policy
from sfmc_import.request import StartRequest
from sfmc_import.runs import Definition
from sfmc_import.states import DueRequest, Followed, Turn
from tests.support.checks import by_request, name_of
from tests.support.system import MID, System
from tests.unit.sfmc_import.service.conftest import KEY, request


def last(system: System, request_id: str = "a") -> str:
    return name_of(by_request(system.world.events())[request_id][-1])


@pytest.mark.parametrize(
    ("status", "counts", "ended_as"),
    [
        ("Completed", {"total": 3, "successful": 3}, "completed"),
        ("Completed", {"total": 3, "successful": 2, "errors": 1}, "completed_with_errors"),
        ("Completed", {"total": 0}, "completed_empty"),
        ("Completed", {}, "completed"),
        ("Error", {"errors": 1}, "import_failed"),
    ],
)
def test_a_run_ends_as_its_row_says(system: System, status, counts, ended_as):
    system.start(request())
    system.cloud.end(system.cloud.performs[0].task_id, status, **counts)
    ((_, outcome),) = following.follow(["a"], "w", system.deps)

    assert (outcome.event, outcome.state) == ("import_ended", ended_as)
    assert last(system) == ended_as


def test_a_run_is_compared_with_the_last_one_and_says_what_was_expected_and_what_came(system: System):
    system.policy = Policy(min_share_of_last_run=0.5, max_failed_share=0.1)
    outcomes = []
    for name, rows, errors in (("a", 100, 0), ("b", 40, 5), ("c", 30, 0), ("d", 0, 0), ("e", 10, 0)):
        system.start(request(name, force=True, reason="a test"))
        system.cloud.end(system.cloud.performs[-1].task_id, "Completed", total=rows, errors=errors)
        ((_, outcome),) = following.follow([name], "w", system.deps)
        outcomes.append((last(system, name), outcome.event))
    data = by_request(system.world.events())["b"][-1]["data"]

    # The rows of a run without any are not what the next one is compared with.
    assert [state for state, _ in outcomes] == [
        "completed", "completed_suspicious", "completed", "completed_suspicious", "completed_suspicious"
    ]  # fmt: skip
    assert outcomes[1] == ("completed_suspicious", "import_suspicious")
    assert data["expected"] == {"max_failed_share": 0.1, "min_share_of_last_run": 0.5}
    assert data["found"] == {"failed_share": 0.125, "share_of_last_run": 0.4}
    assert (data["rows_total"], data["rows_failed"]) == (40, 5)


def test_an_undocumented_status_counts_as_running_and_is_reported(system: System):
    system.cloud.statuses = ("Queued", "Completed")
    system.start(request())
    ((_, outcome),) = following.follow(["a"], "w", system.deps)

    assert (outcome.event, outcome.facts) == ("import_status_undocumented", {"import_status": "Queued"})
    assert last(system) == "progressed"
    following.follow(["a"], "w", system.deps)
    assert last(system) == "completed"


def test_a_row_that_cannot_be_seen_yet_is_no_news(system: System):
    system.cloud.hidden_looks = 1
    system.start(request())

    assert following.follow(["a"], "w", system.deps) == []
    assert last(system) == "started"


@pytest.mark.parametrize("fault", [NotApplied("9", "in maintenance"), Rejected("4", "no access")])
def test_a_query_that_fails_is_reported_once_and_every_run_is_polled_later(system: System, fault):
    system.cloud.add(Definition(customer_key="other"))
    system.start(request())
    system.start(StartRequest(request_id="b", customer_key="other", mid=MID))
    system.cloud.fail("runs", fault)
    news = following.follow(["a", "b"], "w", system.deps)

    assert [outcome.event for _, outcome in news] == ["follow_retry_scheduled"]
    assert min(system.world.due().values()) > system.world.now_ms()
    system.live()
    assert {last(system, "a"), last(system, "b")} == {"completed"}


def test_what_hits_the_whole_account_ends_no_run_though_its_deadline_is_over(system: System):
    system.policy = Policy(follow_deadline=3600)
    system.start(request())
    system.world.advance(7200)
    system.cloud.fail("runs", NotApplied("http_429", "too many calls", account_wide=True, retry_after=900))
    following.follow(["a"], "w", system.deps)

    assert last(system) == "started"
    assert min(system.world.due().values()) == system.world.now_ms() + 900_000
    system.live()
    assert last(system) == "completed"


def test_following_ends_at_its_deadline_even_when_the_service_cannot_be_asked(system: System):
    system.policy = Policy(follow_deadline=3600)
    system.start(request())
    system.cloud.fail("runs", NotApplied("9", "in maintenance"), times=10**6)
    system.live()

    assert last(system) == "follow_timed_out"


class RunningLedger:
    """A ledger (sfmc_import.ports) that has this many runs in each business unit, all of them due."""

    def __init__(self, **runs: int) -> None:
        self.ids = [(mid, f"{mid}-{number}") for mid, count in runs.items() for number in range(count)]
        self.polled: list[str] = []

    def due(self, _limit: int, _pause: float) -> list[DueRequest]:
        return [DueRequest(request_id=name, mid=mid, customer_key=name, state="started") for mid, name in self.ids]

    def followed(self, request_ids: Collection[str]) -> list[Followed]:
        more = {"status": None, "polls": 0, "age": 1.0, "overdue": False}
        known = [(mid, name) for mid, name in self.ids if name in request_ids]
        return [Followed(request_id=name, mid=mid, customer_key=name, task_id=name, **more) for mid, name in known]

    def polling(self, request_ids: Collection[str], _owner: str) -> Turn:
        return Turn(granted=tuple(request_ids))

    def progressed(self, run: Followed, _status: str | None, _pause: float) -> None:
        self.polled.append(run.request_id)


def test_many_runs_are_asked_for_in_few_queries_and_each_business_unit_on_its_own(system: System):
    ledger = RunningLedger(a=201, b=1)
    following.follow([name for _, name in ledger.ids], "w", system.deps_over(ledger, system.cloud))

    assert [operation for operation, _ in system.cloud.calls] == ["runs"] * 3
    assert ledger.polled == [name for _, name in ledger.ids]


def test_the_sweep_sends_runs_in_batches_of_one_business_unit():
    ledger, followed = RunningLedger(a=201, b=1), []
    swept = following.sweep(ledger, lambda _: None, followed.append, limit=1000, pause=30)

    assert (swept.woken, swept.followed) == (0, 202)
    assert [len(ids) for ids in followed] == [200, 1, 1]
    assert [name for ids in followed for name in ids] == [name for _, name in ledger.ids]


def start_many(system: System, count: int) -> list[str]:
    for number in range(count):
        system.cloud.add(Definition(customer_key=f"k{number}"))
        system.start(StartRequest(request_id=f"r{number}", customer_key=f"k{number}", mid=MID))
    system.cloud.calls.clear()
    return [f"r{number}" for number in range(count)]


def lose_a_worker(system: System, names: list[str]) -> None:
    """A worker dies after it asked for these runs."""
    system.world.ledger.polling(names, "lost")
    system.world.advance(system.world.settings.lease)


def test_runs_whose_worker_was_lost_are_asked_for_alone_and_after_the_others(system: System):
    names = start_many(system, 4)
    lose_a_worker(system, names[:2])
    following.follow(names, "w", system.deps)

    assert len(system.cloud.calls) == 3
    assert {last(system, name) for name in names} == {"completed"}


def test_with_many_suspects_the_next_sweep_goes_on(system: System):
    names = start_many(system, following.MAX_TURNS + 5)
    lose_a_worker(system, names)
    following.follow(names, "w", system.deps)
    assert len(system.cloud.calls) == following.MAX_TURNS
    system.live()

    assert {last(system, name) for name in names} == {"completed"}


def test_a_run_that_cost_too_many_workers_is_news_and_the_others_are_asked_for(system: System):
    killer, healthy = start_many(system, 2)
    for _ in range(4):
        lose_a_worker(system, [killer])
    news = following.follow([killer, healthy], "w", system.deps)

    assert [(run.request_id, outcome.event) for run, outcome in news if run.request_id == killer] == [
        (killer, "follow_lost")
    ]
    assert (last(system, killer), len(system.cloud.calls)) == ("follow_timed_out", 1)


def test_what_is_not_started_is_not_asked_for(system: System):
    system.world.ledger.accept(request())

    assert following.follow(["a", "absent"], "w", system.deps) == []
    assert system.cloud.calls == []


def test_the_sweep_wakes_requests_follows_runs_and_names_the_missing(system: System):
    for number in range(2):
        system.cloud.add(Definition(customer_key=f"k{number}"))
        system.start(StartRequest(request_id=f"r{number}", customer_key=f"k{number}", mid=MID))
    system.world.ledger.accept(request("waits"))
    system.world.ledger.accept(request("gone"))
    system.world.lose("gone")
    system.world.advance(5)
    woken: list[DueRequest] = []
    followed: list[list[str]] = []
    swept = following.sweep(system.world.ledger, woken.append, followed.append, limit=1000, pause=30)

    assert (swept.woken, swept.followed, swept.missing_record) == (1, 2, ("gone",))
    assert [(due.request_id, due.customer_key) for due in woken] == [("waits", KEY)]
    assert [sorted(ids) for ids in followed] == [["r0", "r1"]]


def test_two_sweeps_at_once_wake_a_request_once(system: System):
    system.world.ledger.accept(request())
    system.world.advance(5)
    woken: list[DueRequest] = []
    for _ in range(2):
        following.sweep(system.world.ledger, woken.append, lambda _: None, limit=10, pause=30)

    assert len(woken) == 1

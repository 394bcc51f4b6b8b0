"""Following and sweeping: batches, ends, postponements."""

import pytest

from sfmc_import import service
from sfmc_import.faults import NotApplied, Rejected
from sfmc_import.policy import Policy
from sfmc_import.request import StartRequest
from sfmc_import.runs import Definition
from sfmc_import.service import follow
from sfmc_import.states import DueRequest
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
    ((_, outcome),) = follow(["a"], system.deps)

    assert (outcome.event, outcome.state) == ("import_ended", ended_as)
    assert last(system) == ended_as


def test_an_undocumented_status_counts_as_running_and_is_reported(system: System):
    system.cloud.statuses = ("Queued", "Completed")
    system.start(request())
    ((_, outcome),) = follow(["a"], system.deps)

    assert (outcome.event, outcome.facts) == ("import_status_undocumented", {"import_status": "Queued"})
    assert last(system) == "progressed"
    follow(["a"], system.deps)
    assert last(system) == "completed"


def test_a_row_that_cannot_be_seen_yet_is_no_news(system: System):
    system.cloud.hidden_looks = 1
    system.start(request())

    assert follow(["a"], system.deps) == []
    assert last(system) == "started"


@pytest.mark.parametrize("fault", [NotApplied("9", "in maintenance"), Rejected("4", "no access")])
def test_a_query_that_fails_is_reported_once_and_every_run_is_polled_later(system: System, fault):
    system.cloud.add(Definition(customer_key="other"))
    system.start(request())
    system.start(StartRequest(request_id="b", customer_key="other", mid=MID))
    system.cloud.fail("runs", fault)
    news = follow(["a", "b"], system.deps)

    assert [outcome.event for _, outcome in news] == ["follow_retry_scheduled"]
    assert min(system.world.due().values()) > system.world.now_ms()
    system.live()
    assert {last(system, "a"), last(system, "b")} == {"completed"}


def test_what_hits_the_whole_account_ends_no_run_though_its_deadline_is_over(system: System):
    system.policy = Policy(follow_deadline=3600)
    system.start(request())
    system.world.advance(7200)
    system.cloud.fail("runs", NotApplied("http_429", "too many calls", account_wide=True, retry_after=900))
    follow(["a"], system.deps)

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


def test_many_runs_are_asked_for_in_few_queries(system: System):
    for number in range(201):
        system.cloud.add(Definition(customer_key=f"k{number}"))
        system.start(StartRequest(request_id=f"r{number}", customer_key=f"k{number}", mid=MID))
    system.cloud.calls.clear()
    follow([f"r{number}" for number in range(201)], system.deps)

    assert [operation for operation, _ in system.cloud.calls] == ["runs", "runs"]


def test_what_is_not_started_is_not_asked_for(system: System):
    system.world.ledger.accept(request())

    assert follow(["a", "absent"], system.deps) == []
    assert system.cloud.calls == []


def test_the_sweep_wakes_requests_follows_runs_in_batches_and_names_the_missing(system: System):
    for number in range(201):
        system.cloud.add(Definition(customer_key=f"k{number}"))
        system.start(StartRequest(request_id=f"r{number}", customer_key=f"k{number}", mid=MID))
    system.world.ledger.accept(request("waits"))
    system.world.ledger.accept(request("gone"))
    system.world.lose("gone")
    system.world.advance(5)
    woken: list[DueRequest] = []
    followed: list[int] = []
    swept = service.sweep(
        system.world.ledger, woken.append, lambda ids: followed.append(len(ids)), limit=1000, pause=30
    )

    assert (swept.woken, swept.followed, swept.missing_record) == (1, 201, ("gone",))
    assert [(due.request_id, due.customer_key) for due in woken] == [("waits", KEY)]
    assert followed == [200, 1]


def test_two_sweeps_at_once_wake_a_request_once(system: System):
    system.world.ledger.accept(request())
    system.world.advance(5)
    woken: list[DueRequest] = []
    for _ in range(2):
        service.sweep(system.world.ledger, woken.append, lambda _: None, limit=10, pause=30)

    assert len(woken) == 1

"""Following and sweeping: batches, ends, postponements."""

import pytest

from tests.truth import by_request, name_of
from tests.unit.worker.service.conftest import KEY, wish
from tests.works import MID, Works
from worker.domain.decisions import Due
from worker.domain.faults import NotApplied, Rejected
from worker.domain.policy import Policy
from worker.domain.runs import Definition
from worker.messages import StartRequest
from worker.service import sweeping
from worker.service.following import follow


def last(works: Works, request_id: str = "a") -> str:
    return name_of(by_request(works.world.events())[request_id][-1])


@pytest.mark.parametrize(
    ("status", "counts", "outcome"),
    [
        ("Completed", {"total": 3, "successful": 3}, "completed"),
        ("Completed", {"total": 3, "successful": 2, "errors": 1}, "completed_with_errors"),
        ("Completed", {"total": 0}, "completed_empty"),
        ("Completed", {}, "completed"),
        ("Error", {"errors": 1}, "import_failed"),
    ],
)
def test_a_run_ends_as_its_row_says(works: Works, status, counts, outcome):
    works.start(wish())
    works.cloud.end(works.cloud.performs[0].task_id, status, **counts)
    ((_, report),) = follow(["a"], works.deps)

    assert (report.event, report.state) == ("import_ended", outcome)
    assert last(works) == outcome


def test_a_status_that_nobody_knows_counts_as_running_and_is_told(works: Works):
    works.cloud.statuses = ("Queued", "Completed")
    works.start(wish())
    ((_, report),) = follow(["a"], works.deps)

    assert (report.event, report.facts) == ("import_status_unheard_of", {"import_status": "Queued"})
    assert last(works) == "progressed"
    follow(["a"], works.deps)
    assert last(works) == "completed"


def test_a_row_that_cannot_be_seen_yet_is_no_news(works: Works):
    works.cloud.hidden_looks = 1
    works.start(wish())

    assert follow(["a"], works.deps) == []
    assert last(works) == "started"


@pytest.mark.parametrize("fault", [NotApplied("9", "in maintenance"), Rejected("4", "no access")])
def test_a_query_that_fails_is_told_once_and_every_run_is_looked_at_later(works: Works, fault):
    works.cloud.add(Definition(customer_key="other"))
    works.start(wish())
    works.start(StartRequest(request_id="b", customer_key="other", mid=MID))
    works.cloud.fail("runs", fault)
    news = follow(["a", "b"], works.deps)

    assert [report.event for _, report in news] == ["follow_postponed"]
    assert min(works.world.due().values()) > works.world.now_ms()
    works.live()
    assert {last(works, "a"), last(works, "b")} == {"completed"}


def test_following_ends_at_its_deadline_even_when_the_service_cannot_be_asked(works: Works):
    works.policy = Policy(follow_deadline=3600)
    works.start(wish())
    works.cloud.fail("runs", NotApplied("9", "in maintenance"), times=10**6)
    works.live()

    assert last(works) == "follow_timed_out"


def test_many_runs_are_asked_for_in_few_queries(works: Works):
    for number in range(250):
        works.cloud.add(Definition(customer_key=f"k{number}"))
        works.start(StartRequest(request_id=f"r{number}", customer_key=f"k{number}", mid=MID))
    works.cloud.calls.clear()
    follow([f"r{number}" for number in range(250)], works.deps)

    assert [operation for operation, _ in works.cloud.calls] == ["runs", "runs"]


def test_what_is_not_started_is_not_asked_for(works: Works):
    works.world.ledger.accept(wish())

    assert follow(["a", "nobody"], works.deps) == []
    assert works.cloud.calls == []


def test_the_sweep_wakes_requests_follows_runs_in_batches_and_names_the_missing(works: Works):
    for number in range(201):
        works.cloud.add(Definition(customer_key=f"k{number}"))
        works.start(StartRequest(request_id=f"r{number}", customer_key=f"k{number}", mid=MID))
    works.world.ledger.accept(wish("waits"))
    works.world.ledger.accept(wish("gone"))
    works.world.lose("gone")
    works.world.advance(5)
    woken: list[Due] = []
    followed: list[int] = []
    swept = sweeping.sweep(
        works.world.ledger, woken.append, lambda ids: followed.append(len(ids)), limit=1000, pause=30
    )

    assert (swept.woken, swept.followed, swept.gone) == (1, 201, ("gone",))
    assert [(due.request_id, due.customer_key) for due in woken] == [("waits", KEY)]
    assert followed == [200, 1]


def test_two_sweeps_at_once_wake_a_request_once(works: Works):
    works.world.ledger.accept(wish())
    works.world.advance(5)
    woken: list[Due] = []
    for _ in range(2):
        sweeping.sweep(works.world.ledger, woken.append, lambda _: None, limit=10, pause=30)

    assert len(woken) == 1

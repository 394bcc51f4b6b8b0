"""What Marketing Cloud denies in unknown words is looked up, tried again, and believed the second time."""

import pytest

from sfmc_import.faults import Ambiguous, NotApplied, Rejected, after_situation
from sfmc_import.policy import Policy
from tests.support.checks import by_request, name_of
from tests.support.system import System
from tests.unit.sfmc_import.service.conftest import request

STRANGE = Ambiguous("77777", "what is this", denied=True)
UNAVAILABLE = Ambiguous("http_503", "busy", denied=True, account_wide=True, retry_after=1800)


def names(system: System) -> list[str]:
    return [name_of(event) for event in by_request(system.world.events())["a"]]


def test_an_unknown_refusal_that_comes_once_costs_one_look_and_one_pause(system: System):
    system.cloud.fail("start", STRANGE)
    system.start(request())
    system.live()

    assert names(system) == [
        "accepted", "starting", "reconciling", "retrying", "starting", "started", "completed",
    ]  # fmt: skip
    assert len(system.cloud.performs) == 1


def test_an_unknown_refusal_that_comes_twice_rejects_in_the_words_of_the_service(system: System):
    system.cloud.fail("start", STRANGE, times=2)
    system.start(request())
    system.live()
    end = by_request(system.world.events())["a"][-1]

    assert name_of(end) == "rejected"
    assert (end["data"]["code"], end["data"]["text"]) == ("77777", "what is this")


def test_a_run_that_was_started_although_it_was_denied_is_found(system: System):
    system.cloud.fail("start", STRANGE, applied=True)
    system.start(request())
    system.live()

    assert names(system)[-1] == "completed"
    assert len(system.cloud.performs) == 1


def test_a_service_that_is_not_available_for_hours_ends_no_request_and_is_not_asked_before_its_time(system: System):
    system.policy = Policy(retry_deadline=600, reconcile_deadline=600)
    system.cloud.fail("start", UNAVAILABLE, times=5)
    system.start(request())
    began = system.world.now_ms()
    system.live()

    assert names(system)[-1] == "completed"
    assert len(system.cloud.performs) == 1
    assert system.world.now_ms() - began > 5 * 1_800_000


def test_an_account_that_is_refused_for_days_ends_no_request(system: System):
    system.policy = Policy(retry_deadline=600)
    refused = NotApplied("login_failed", "no token", account_wide=True, retry_after=3600)
    system.cloud.fail("definition", refused, times=50)
    system.start(request())
    began = system.world.now_ms()
    system.live()

    assert names(system)[-1] == "completed"
    assert system.world.now_ms() - began > 2 * 86_400_000


def test_a_start_that_was_applied_behind_a_refusal_by_http_is_found_and_not_sent_again(system: System):
    system.cloud.fail("start", after_situation("http_denied", "HTTP 408"), applied=True)
    system.start(request())
    system.live()

    assert (names(system)[-1], len(system.cloud.performs)) == ("completed", 1)


HTTP_DENIED = after_situation("http_denied", "HTTP 409")
BUSY_GATEWAY = after_situation("http_503", "HTTP 503")
HTTP_REFUSED = after_situation("http_refused", "HTTP 403")
BAD_REQUEST = after_situation("http_400", "HTTP 400")


@pytest.mark.parametrize("baseline", [True, False])
@pytest.mark.parametrize("fault", [STRANGE, HTTP_DENIED, BUSY_GATEWAY])
def test_a_run_that_comes_to_light_after_the_look_is_found_before_the_next_perform(
    system: System, fault: Ambiguous, baseline: bool
):
    system.deps = system.deps_over(system.world.ledger, system.cloud, baseline=baseline)
    system.start(request("first"))
    system.live()
    system.cloud.fail("start", fault, applied=True)
    system.cloud.hidden_looks = 1
    system.start(request())
    system.live()

    assert (names(system)[-1], len(system.cloud.performs)) == ("completed", 2)
    assert [e["data"]["matched"] for e in by_request(system.world.events())["a"] if name_of(e) == "started"] == [
        "reconciled"
    ]


def test_where_the_policy_repeats_a_run_is_looked_for_again_before_it_is_repeated(system: System):
    system.policy = Policy(when_ambiguous="repeat", reconcile_deadline=60)
    system.cloud.fail("start", Ambiguous("read_timeout", "no answer"), applied=True)
    system.cloud.hidden_looks = 1
    system.start(request())
    system.live()

    assert (names(system)[-1], len(system.cloud.performs)) == ("completed", 1)


@pytest.mark.parametrize("situation", ["http_refused", "http_429"])
def test_a_start_that_a_server_between_refused_after_passing_it_on_is_found(system: System, situation: str):
    system.cloud.fail("start", after_situation(situation, "HTTP"), applied=True)
    system.start(request())
    system.live()

    assert (names(system)[-1], len(system.cloud.performs)) == ("completed", 1)


def test_a_start_that_was_applied_behind_http_400_is_found_before_it_is_rejected(system: System):
    system.cloud.fail("start", BAD_REQUEST, applied=True)
    system.start(request())
    system.live()

    assert (names(system)[-1], len(system.cloud.performs)) == ("completed", 1)


def test_http_400_rejects_after_a_look_and_is_sent_once(system: System):
    system.cloud.fail("start", BAD_REQUEST)
    system.start(request())
    system.live()

    assert names(system) == ["accepted", "starting", "reconciling", "rejected"]
    assert [each for each in system.cloud.calls if each[0] == "start"] == [("start", "daily")]


def test_a_start_that_http_refuses_for_longer_than_the_retry_deadline_goes_on_when_it_is_taken(system: System):
    system.policy = Policy(retry_deadline=600)
    system.cloud.fail("start", HTTP_REFUSED, times=20)
    system.start(request())
    began = system.world.now_ms()
    system.live()

    assert (names(system)[-1], len(system.cloud.performs)) == ("completed", 1)
    assert system.world.now_ms() - began > 600 * 1000


def test_where_the_query_is_refused_too_a_start_that_http_refused_waits(system: System):
    system.policy = Policy(retry_deadline=600)
    system.cloud.fail("start", HTTP_REFUSED)
    system.start(request())
    system.cloud.fail("runs_of", after_situation("login_failed", "no"), times=50)
    began = system.world.now_ms()
    system.live()

    assert names(system)[-1] == "completed"
    assert system.world.now_ms() - began > 3_600_000


@pytest.mark.parametrize("fault", ["http_refused", "http_429"])
@pytest.mark.parametrize("applied", [True, False])
def test_a_request_whose_deadline_comes_after_an_answer_without_proof_ends_truly(
    system: System, fault: str, applied: bool
):
    system.cloud.fail("start", after_situation(fault, "HTTP"), applied=applied)
    system.start(request(expires=system.world.now_ms() / 1000 + 5))
    system.live()

    assert names(system)[-1] == ("completed" if applied else "expired")


@pytest.mark.parametrize("baseline", [True, False])
def test_several_runs_since_a_denied_start_leave_it_unknown(system: System, baseline: bool):
    system.deps = system.deps_over(system.world.ledger, system.cloud, baseline=baseline)
    system.cloud.fail("start", HTTP_DENIED, applied=True)
    system.cloud.hidden_looks = 1
    system.start(request())
    system.cloud.started_elsewhere(request().customer_key)
    system.live()

    assert names(system)[-1] == "start_unknown"
    assert len(system.cloud.performs) == 2


@pytest.mark.parametrize("fault", [HTTP_DENIED, BUSY_GATEWAY])
def test_what_a_server_between_denied_never_ends_as_not_started(system: System, fault: Ambiguous):
    system.cloud.fail("start", fault, applied=True)
    system.cloud.hidden_looks = 10**6
    system.cloud.fail("start", Rejected("43060", "not valid"), times=9)
    system.start(request())
    system.live()

    assert names(system)[-1] == "start_unknown"


def test_a_definition_that_was_deleted_after_a_denied_start_does_not_hide_its_run(system: System):
    system.cloud.fail("start", STRANGE, applied=True)
    system.cloud.hidden_looks = 1
    system.start(request())
    system.cloud.remove(request().customer_key)
    system.live()

    assert names(system)[-1] == "completed"


def test_a_run_of_somebody_else_is_not_taken_for_a_start_that_provably_was_not_applied(system: System):
    system.cloud.fail("start", NotApplied("13", "not processed"), times=9)
    system.start(request())
    system.cloud.heal()
    system.cloud.started_elsewhere(request().customer_key)
    system.live()

    assert len(system.cloud.performs) == 2

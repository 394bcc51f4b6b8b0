"""What Marketing Cloud denies in unknown words is looked up, tried again, and believed the second time."""

from sfmc_import.faults import Ambiguous, NotApplied, after_situation
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

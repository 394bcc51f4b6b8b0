"""Since when something fails is the begin of this failure: another code, a success or another wait begins it anew."""

from typing import Any

import orjson

from sfmc_import.faults import NotApplied
from sfmc_import.ledger.quota_keys import CIRCUIT
from sfmc_import.ledger.schema import REQUEST
from tests.contract.ledger.scenario import Scenario
from tests.contract.ledger.test_quota import FAILURES_THAT_OPEN, HOST, LIMITS

MINUTE = 60


def fails(scenario: Scenario, code: str) -> dict[str, Any]:
    """A minute later the next attempt fails; answers what is noted of it, with times since now in minutes."""
    scenario.world.advance(MINUTE)
    scenario.ledger.retry(scenario.sends("a"), NotApplied(code, "no"), MINUTE)
    return noted(scenario)


def noted(scenario: Scenario) -> dict[str, Any]:
    record = REQUEST.read(scenario.world.client.hgetall(scenario.world.keys.request("a")))
    error, now = record["last_error"], scenario.world.now_ms()
    return {
        name: error[name] if name.endswith("code") else round((now - error[name]) / MINUTE / 1000)
        for name in ("code", "since", "first_code", "first_at")
        if name in error
    }


def test_a_failure_lasts_while_its_code_stays_the_same(scenario: Scenario):
    scenario.arrives("a")

    assert [fails(scenario, "13")["since"] for _ in range(3)] == [0, 1, 2]


def test_with_another_code_it_begins_anew_and_the_first_code_is_kept_beside_it(scenario: Scenario):
    scenario.arrives("a")
    fails(scenario, "13")
    fails(scenario, "13")

    assert fails(scenario, "http_503") == {"code": "http_503", "since": 0, "first_code": "13", "first_at": 2}
    assert fails(scenario, "http_503") == {"code": "http_503", "since": 1, "first_code": "13", "first_at": 3}
    assert fails(scenario, "dns") == {"code": "dns", "since": 0, "first_code": "13", "first_at": 4}


def test_after_a_pause_it_begins_anew(scenario: Scenario):
    scenario.arrives("a")
    fails(scenario, "13")
    scenario.world.advance(MINUTE)
    scenario.ledger.pause("all", "ann", "a change", None)
    scenario.claim("a")
    scenario.claim("a")
    scenario.world.advance(MINUTE)
    scenario.ledger.lift_pause("all", "ann", None)

    assert fails(scenario, "13") == {"code": "13", "since": 0}


def test_what_waited_for_a_limit_has_not_failed_before(scenario: Scenario):
    scenario.arrives("a")
    limited = [fails(scenario, code)["code"] for code in ("quota", "running_limit")]

    assert limited == ["quota", "running_limit"]
    assert fails(scenario, "13") == {"code": "13", "since": 0}


def test_what_failed_before_limits_that_follow_one_another_stands_beside_each_of_them(scenario: Scenario):
    scenario.arrives("a")
    fails(scenario, "13")
    held = [fails(scenario, code) for code in ("budget", "budget", "running_limit")]

    assert [(each["first_code"], each["first_at"], each["since"]) for each in held] == [
        ("13", minutes, 0) for minutes in (1, 2, 3)
    ]
    assert fails(scenario, "13") == {"code": "13", "since": 0}


def test_that_calls_are_spread_over_the_minute_ends_no_failure(scenario: Scenario):
    scenario.arrives("a")
    fails(scenario, "13")

    assert fails(scenario, "quota") == {"code": "13", "since": 1}
    assert fails(scenario, "13") == {"code": "13", "since": 2}


def test_a_run_that_cannot_be_asked_for_fails_since_its_last_answer(scenario: Scenario):
    scenario.arrives("a")
    scenario.start("a")
    run = scenario.run("a")
    since = []
    for answer in (NotApplied("13", "no"), NotApplied("13", "no"), None, NotApplied("13", "no")):
        scenario.world.advance(MINUTE)
        scenario.ledger.progressed(run, "Processing", 30, answer)
        since += [noted(scenario)["since"]] if answer else []

    assert since == [0, 1, 0]


def circuit(scenario: Scenario) -> tuple[str, int]:
    """The code of the circuit of a login, and since how many seconds its calls fail."""
    said = orjson.loads(scenario.world.client.hget(scenario.world.keys.name_of(CIRCUIT, HOST), "@1"))
    return said["code"], round((scenario.world.now_ms() - said["since"]) / 1000)


def reported(scenario: Scenario, seconds: int, outcome: str, code: str = "9", probe: str = "") -> None:
    scenario.world.advance(seconds)
    quota = scenario.ledger.quota(LIMITS)
    if probe:
        quota.probe("@1", probe)
    quota.report("@1", probe, 0, outcome, code=code, text="maintenance")


def test_a_circuit_has_the_begin_of_the_first_failure_that_opened_it(scenario: Scenario):
    reported(scenario, 1, "failed")
    reported(scenario, 1, "answered")
    for _ in range(FAILURES_THAT_OPEN):
        reported(scenario, 10, "failed")
    opened = circuit(scenario)
    reported(scenario, MINUTE, "failed", probe="p")

    assert opened == ("9", 10 * (FAILURES_THAT_OPEN - 1))
    assert circuit(scenario) == ("9", opened[1] + MINUTE)


def test_a_circuit_whose_calls_fail_with_another_code_has_the_begin_of_that(scenario: Scenario):
    for _ in range(FAILURES_THAT_OPEN - 1):
        reported(scenario, 10, "failed", "13")
    reported(scenario, 10, "failed", "http_503")
    opened = circuit(scenario)
    reported(scenario, MINUTE, "failed", "login_failed", probe="p")

    assert opened == ("http_503", 0)
    assert circuit(scenario) == ("login_failed", 0)

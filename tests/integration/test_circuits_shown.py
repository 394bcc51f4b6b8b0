"""Circuits on every surface: calls that are not made, that no process tries, and that work again."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from sfmc_import.access import ReadAccess
from sfmc_import.bootstrap import quota_limits
from sfmc_import.cli.doctor import check_circuits
from sfmc_import.faults import NotApplied
from sfmc_import.ledger.opening import open_ledger
from sfmc_import.ledger.quota_keys import CIRCUIT
from sfmc_import.operations import requests
from sfmc_import.operations.open_circuits import open_circuits
from sfmc_import.operations.status import status
from sfmc_import.operations.usage import account_of
from tests.integration.test_troubles_shown import claimed
from tests.support.console import MID, World, console_over


@pytest.fixture
def world(redis_server: Any) -> Iterator[World]:
    with console_over(redis_server.url) as made:
        yield made


def test_doctor_fails_while_no_call_is_made(world: World) -> None:
    settings = world.access.settings.model_copy(update={"soap_url": "https://x.soap.marketingcloudapis.com"})
    quota = open_ledger(settings).quota(quota_limits(settings))
    assert list(check_circuits(settings)) == []
    for number in range(3):
        quota.report("", f"probe{number}", 0, "failed", code="12", text="wrong password")

    [finding] = check_circuits(settings)

    assert (finding.level, finding.check) == ("fail", "calls")
    assert "no call is made in all business units since" in finding.text
    assert "(12): Calls to Marketing Cloud fail: wrong password" in finding.text
    assert "check the login" in finding.fix


def test_doctor_says_of_a_circuit_of_a_login_whose_it_is_and_until_when(world: World) -> None:
    settings = world.access.settings.model_copy(update={"soap_url": "https://x.soap.marketingcloudapis.com"})
    quota = open_ledger(settings).quota(quota_limits(settings))
    for number in range(3):
        quota.report(
            "5@01d0",
            f"probe{number}",
            0,
            "failed",
            code="login_failed",
            text="no",
            by="client id abcd… of the worker h:1",
        )

    [finding] = check_circuits(settings)

    assert re.search(
        r"in business unit 5 since .* UTC, next try at .* UTC: .* Calls with one login fail: no", finding.text
    )
    assert "It failed for client id abcd… of the worker h:1." in finding.text
    assert "restart the worker h:1, and every other process that has another login" in finding.fix


def test_a_circuit_that_no_process_tries_any_more_is_said_as_such_and_holds_no_request(world: World) -> None:
    settings = world.access.settings.model_copy(update={"soap_url": "https://x.soap.marketingcloudapis.com"})
    quota = open_ledger(settings).quota(quota_limits(settings))
    for number in range(3):
        quota.report(f"{MID}@01d0", f"probe{number}", 0, "failed", code="login_failed", text="no", by="vm:1")
    access = ReadAccess(settings)
    key = access.keys.name_of(CIRCUIT, account_of(access))
    said = json.loads(access.client.hget(key, f"{MID}@01d0"))
    access.client.hset(key, f"{MID}@01d0", json.dumps(said | {"until": said["until"] - 60_000}))
    [finding] = [each for each in check_circuits(settings) if "login_failed" in each.text]
    [circuit] = open_circuits(access)

    assert (finding.level, "next try at" in finding.text, "vm:1" in finding.text) == ("warn", False, False)
    assert "No process has tried again since its pause ended: none has a call to make, or none with" in finding.text
    assert finding.fix.startswith("If it fails again: check the login")
    assert circuit.is_untried
    probing = said | {"until": said["until"] - 60_000, "probe": "p", "probe_until": said["until"] + 60_000}
    access.client.hset(key, f"{MID}@01d0", json.dumps(probing))
    assert [each.is_untried for each in open_circuits(access)] == [False]


@pytest.mark.parametrize(("scope", "code"), [("", "9"), ("", "17"), (f"{MID}@01d0", "12"), ("@01d0", "proxy_refused")])
def test_what_waits_on_for_a_circuit_that_has_closed_is_held_by_nothing_and_says_so(
    world: World, scope: str, code: str
) -> None:
    settings = world.access.settings.model_copy(update={"soap_url": "https://x.soap.marketingcloudapis.com"})
    access, quota = ReadAccess(settings), open_ledger(settings).quota(quota_limits(settings))
    ledger, lease = claimed(world, "waits.csv")
    for number in range(3):
        quota.report(scope, f"probe{number}", 0, "failed", code=code, text="no")
    held = NotApplied("circuit_open", "no call is made for now", account_wide=True, cause=(code, "no"))
    ledger.retry(lease, held, 60)
    assert any(f"({code})" in each.text for each in check_circuits(settings))
    key = access.keys.name_of(CIRCUIT, account_of(access))
    access.client.hset(key, scope, json.dumps(json.loads(access.client.hget(key, scope)) | {"until": 1}))
    quota.probe(scope, "probe")
    quota.report(scope, "probe", 1, "answered")
    view = requests.show(access, lease.request_id)

    assert (status(access).troubles, list(check_circuits(settings))) == ((), [])
    assert view.waiting is not None
    assert view.waiting.text.startswith("Calls failed, and work again since 20")
    assert view.waiting.last_error is not None
    assert (view.waiting.last_error.code, view.waiting.last_error.is_past) == (code, True)
    again, lease = claimed(world, "again.csv")
    again.retry(lease, NotApplied(code, "no", account_wide=True), 60)
    [trouble] = status(access).troubles
    assert (trouble.codes, trouble.customer_keys, trouble.requests) == ((code,), ("again.csv",), 1)

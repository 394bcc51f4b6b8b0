"""The first calls of a life over real HTTP and SOAP: the worker dies around each, the sandbox counts the starts."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from sfmc_import.ledger import LedgerSettings
from sfmc_import.marketing_cloud import MarketingCloudConfig, PlainSecret, SoapMarketingCloud, connect
from sfmc_import.marketing_cloud.http import BootClock
from sfmc_import.ports import Deps
from sfmc_import.request import FileInfo, StartRequest
from tests.integration.crash_points.crash_points import DEATHS, DiedError, Fate, Mortal
from tests.support.checks import check_finished, check_invariants
from tests.support.fake_marketing_cloud import Perform
from tests.support.ledger_world import RedisWorld
from tests.support.sandbox_server import ACCOUNT_ID, CLIENT_ID, CLIENT_SECRET, SandboxProcess
from tests.support.system import DefinitionsAsked, System

MID = str(ACCOUNT_ID)
POINTS = range(1, 8)
NIGHTLY = ("http_500", "http_500_after_applying", "fault_13", "fault_17", "token_expired", "truncated")
FAULTS = (
    None,
    "drop_before_applying",
    "drop_after_applying",
    "fault_2_after_applying",
    "fault_9",
    "missing_task",
    "garbage",
    "error_43010",
    *(pytest.param(fault, marks=pytest.mark.nightly) for fault in NIGHTLY),
)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess(validate=False) as running:
        yield running


@pytest.fixture(scope="module")
def service(sandbox: SandboxProcess) -> SoapMarketingCloud:
    config = MarketingCloudConfig(
        soap_url=sandbox.soap_url,
        auth_url=sandbox.auth_url,
        client_id=CLIENT_ID,
        client_secret=PlainSecret(CLIENT_SECRET),
    )
    return connect(config)


@pytest.fixture
def world(redis_server) -> Iterator[RedisWorld]:
    made = RedisWorld(redis_server.url, LedgerSettings())
    yield made
    made.close()


def deps_over(system: System, ledger: Any, cloud: Any) -> Deps:
    # The adapter holds its deadline against the machine's clock, so the use case must too.
    deps = system.deps_over(ledger, cloud)
    return replace(deps, clock=BootClock(), definitions=DefinitionsAsked(cloud, system.boottime))


def applied(sandbox: SandboxProcess, key: str) -> list[Perform]:
    return [Perform(MID, key, perform["task_id"]) for perform in sandbox.control.performs(key)]


def live_until_it_fails(system: System, request: StartRequest, service: SoapMarketingCloud, fate: Fate) -> None:
    ledger, cloud = Mortal(system.world.ledger, fate, ledger=True), Mortal(service, fate, ledger=False)
    system.submit(request)
    try:
        system.live(deps_over(system, ledger, cloud))
    except DiedError:
        system.messages.clear()
    system.live(deps_over(system, system.world.ledger, service))


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.timeout(600)
def test_over_http_too_whoever_dies_the_request_ends_once_and_truly(
    world: RedisWorld, sandbox: SandboxProcess, service: SoapMarketingCloud, fault: str | None, record_property
):
    cases = [(kind, point) for kind in sorted(DEATHS) for point in POINTS]
    for kind, point in cases:
        world.restart()
        key = f"{fault or 'well'}-{kind[4:]}-{point}"[-36:]
        sandbox.control.define(key)
        if fault:
            sandbox.control.add_fault(fault, "Perform", key, count=1)
        request = StartRequest(request_id="r1", customer_key=key, mid=MID, file=FileInfo(location="/", name="a.csv"))
        live_until_it_fails(System(world), request, service, Fate(kind, point))
        performs = applied(sandbox, key)
        assert len(performs) <= 1, (kind, point)
        check_finished(world, ["r1"])
        check_invariants(world, "r1", performs)
    record_property("cases", len(cases))

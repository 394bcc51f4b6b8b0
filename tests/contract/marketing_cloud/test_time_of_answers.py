"""Each answer names the time of Marketing Cloud, which is noted: of a token, a query and a start."""

import time
from collections.abc import Callable

import pytest

from sfmc_import.marketing_cloud import MarketingCloudConfig, connect
from sfmc_import.marketing_cloud.client import SoapMarketingCloud
from sfmc_import.marketing_cloud.http import BootClock
from tests.contract.marketing_cloud.conftest import CREDENTIALS
from tests.contract.marketing_cloud.subjects import MID
from tests.support.sandbox_server import SandboxProcess

AHEAD = 1200.0


def noted(sandbox: SandboxProcess, login: str, ask: Callable[[SoapMarketingCloud], object]) -> float | None:
    """Ask, and give by how much Marketing Cloud is ahead of this machine, as noted."""
    clocks = BootClock()
    config = MarketingCloudConfig(soap_url=sandbox.soap_url, auth_url=sandbox.auth_url, **CREDENTIALS[login])
    ask(connect(config, sleep=lambda _: None, clock=clocks))
    service = clocks.service()
    return None if service is None else service - time.time()


def start(service: SoapMarketingCloud) -> object:
    return service.start(MID, "orders", not_after=BootClock().boottime() + 30)


@pytest.mark.parametrize("login", ["token", "user"])
@pytest.mark.parametrize("ask", [start, lambda service: service.definitions(MID)])
def test_the_clock_of_marketing_cloud_is_known_after_one_answer(sandbox: SandboxProcess, login: str, ask) -> None:
    sandbox.control.define("orders")
    sandbox.control.advance(AHEAD)

    assert noted(sandbox, login, ask) == pytest.approx(AHEAD, abs=5.0)


def test_a_token_names_the_time_too(sandbox: SandboxProcess) -> None:
    sandbox.control.add_fault("http_503", operation="Retrieve")
    sandbox.control.advance(AHEAD)

    found = noted(sandbox, "token", lambda service: service.definitions(MID))

    assert found == pytest.approx(AHEAD, abs=5.0)


def test_the_time_of_a_refusal_may_be_that_of_a_server_between(sandbox: SandboxProcess) -> None:
    sandbox.control.add_fault("http_503", operation="Retrieve")

    assert noted(sandbox, "user", lambda service: service.definitions(MID)) is None

"""The same tests over the fake, and over the adapter with a token and with user and password."""

from collections.abc import Iterator

import pytest

from sfmc_import.marketing_cloud import MarketingCloudConfig, PlainSecret, connect
from tests.contract.marketing_cloud.subjects import Fake, Real, Subject
from tests.support.sandbox_server import CLIENT_ID, CLIENT_SECRET, PASSWORD, USERNAME, SandboxProcess

CREDENTIALS = {
    "token": {"client_id": CLIENT_ID, "client_secret": PlainSecret(CLIENT_SECRET)},
    "user": {"username": USERNAME, "password": PlainSecret(PASSWORD)},
}


@pytest.fixture(scope="module")
def running() -> Iterator[SandboxProcess]:
    with SandboxProcess(["--is-platform-object"]) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: SandboxProcess) -> SandboxProcess:
    running.control.reset()
    return running


@pytest.fixture
def real(sandbox: SandboxProcess) -> Real:
    return on_sandbox(sandbox, "token")


@pytest.fixture(params=["fake", "token", "user"])
def subject(request: pytest.FixtureRequest) -> Subject:
    if request.param == "fake":
        return Fake()
    return on_sandbox(request.getfixturevalue("sandbox"), request.param)


def on_sandbox(sandbox: SandboxProcess, credentials: str) -> Real:
    config = MarketingCloudConfig(
        soap_url=sandbox.soap_url, auth_url=sandbox.auth_url, read_timeout=20, **CREDENTIALS[credentials]
    )
    return Real(connect(config, sleep=lambda _: None), sandbox)

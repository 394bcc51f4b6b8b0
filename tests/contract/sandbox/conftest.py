"""One sandbox per module, empty before each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sandbox_server import SandboxProcess
from tests.support.soap_conversation import Conversation


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    data: Path = tmp_path_factory.mktemp("sandbox")
    with SandboxProcess(data=data) as process:
        yield process


@pytest.fixture
def sandbox(running: SandboxProcess) -> Iterator[SandboxProcess]:
    running.control.reset()
    yield running
    assert running.control.health()["invalid_replies"] == 0


@pytest.fixture
def client(sandbox: SandboxProcess) -> Conversation:
    return Conversation(sandbox)

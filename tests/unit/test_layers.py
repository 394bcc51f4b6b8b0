"""The unit layer is what its marker says: no process, no way out of this machine."""

import os
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.sealing import NetworkSealedError, ProcessStartedError


def test_the_folder_of_a_test_is_its_marker(request: pytest.FixtureRequest) -> None:
    assert request.node.get_closest_marker("unit")


def test_a_unit_test_cannot_start_a_process() -> None:
    with pytest.raises(ProcessStartedError):
        subprocess.run(["true"], check=False)
    with pytest.raises(ProcessStartedError):
        os.fork()


def test_a_thread_of_a_unit_test_cannot_start_a_process() -> None:
    with ThreadPoolExecutor(1) as pool, pytest.raises(ProcessStartedError):
        pool.submit(os.system, "true").result()


def test_a_unit_test_cannot_use_the_server_of_the_other_layers(request: pytest.FixtureRequest) -> None:
    with pytest.raises(ProcessStartedError):
        request.getfixturevalue("own_valkey")


def test_no_test_leaves_this_machine() -> None:
    with socket.socket() as outside, pytest.raises(NetworkSealedError):
        outside.connect(("192.0.2.1", 80))

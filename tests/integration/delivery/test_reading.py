"""A read that never returns keeps no process from its end."""

import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, threading
from sfmc_producers.content_errors import ContentUnavailableError
from sfmc_producers.delivery.reading import Reading

reading = Reading(0.05)
never = threading.Event()
try:
    {call}
except ContentUnavailableError as error:
    print(error)
try:
    reading.do(lambda: None)
except ContentUnavailableError as error:
    print(error)
reading.end()
"""


@pytest.mark.parametrize("call", ["reading.do(never.wait)", "asyncio.run(reading.do_soon(never.wait))"])
def test_a_process_ends_although_a_read_hangs_and_nothing_more_is_read(call) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(call=call)], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.splitlines() == [
        "the file was not read in time (0.05 s)",
        "the file is not read on after a read that gave no answer",
    ]

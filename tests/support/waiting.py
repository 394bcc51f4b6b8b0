"""Waiting for a named condition; the only place in the tests that sleeps."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(probe: Callable[[], T], within: float, description: str) -> T:
    """Return the first truthy answer of `probe`, or fail after `within` seconds naming the condition."""
    deadline = time.monotonic() + within
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {within} s in vain until {description}; last answer: {answer!r}")
        time.sleep(0.02)

"""Reads `Prefer: wait=N` as RFC 7240 writes it: in any case, with blanks, quotes and several headers."""

import re
import threading
import time
from collections.abc import Callable, Iterable
from typing import Annotated

from fastapi import Depends, Header, Request

from sfmc_import.access import ReadAccess
from sfmc_import.operations import requests as questions
from sfmc_import.operations.views import RequestView

MAX_WAIT = 30.0
"""The longest `Prefer: wait`, in seconds: below what proxies bear."""

MAX_WAITERS = 16
"""Each that waits has a thread of the server: with more of them the others are answered at once."""

POLL_SECONDS = 0.25

MAX_READ = 1024
"""How many characters of the headers are read; what comes after them is not followed."""

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PREFERENCE = re.compile(rf'((?:{_QUOTED}|[^",])*)(?:,|$)')
_WAIT = re.compile(r'\s*wait\s*=\s*(?:"\s*(\d+)\s*"|(\d+))\s*(?:;.*)?', re.IGNORECASE | re.ASCII | re.DOTALL)
_NAME = re.compile(r"\s*wait\s*(?:[=;].*)?", re.IGNORECASE | re.ASCII | re.DOTALL)


def seconds_to_wait(headers: Iterable[str]) -> float:
    """Give the seconds that a caller would wait, 30 at most; 0 where it says nothing that can be read."""
    text = ",".join(headers)[:MAX_READ]
    named = next((each for each in _PREFERENCE.findall(text) if _NAME.fullmatch(each)), "")
    found = _WAIT.fullmatch(named)
    # Cut before it is read: thousands of digits would take long.
    return 0.0 if found is None else min(float((found[1] or found[2]).lstrip("0")[:9] or 0), MAX_WAIT)


class Waiters:
    """Callers that wait for the end of a request; `is_ending` says that the server ends, and then no one waits."""

    def __init__(self, is_ending: Callable[[], bool]) -> None:
        self._is_ending = is_ending
        self._places = threading.BoundedSemaphore(MAX_WAITERS)

    def wait(self, access: ReadAccess, request_id: str, seconds: float) -> RequestView:
        """Give a request when it has ended, or as it is after so many seconds or when the server ends."""
        is_waiting = seconds > 0 and self._places.acquire(blocking=False)
        try:
            return self._wait(access, request_id, time.monotonic() + (seconds if is_waiting else 0.0))
        finally:
            if is_waiting:
                self._places.release()

    def _wait(self, access: ReadAccess, request_id: str, deadline: float) -> RequestView:
        while not (view := questions.show(access, request_id)).is_finished:
            if time.monotonic() >= deadline or self._is_ending():
                break
            time.sleep(POLL_SECONDS)
        return view


def _waiters(request: Request) -> Waiters:
    waiters: Waiters = request.app.state.waiters
    return waiters


def _seconds(request: Request, prefer: Annotated[str | None, Header(description="wait=N")] = None) -> float:
    return 0.0 if prefer is None else seconds_to_wait(request.headers.getlist("prefer"))


Seconds = Annotated[float, Depends(_seconds)]
Waiting = Annotated[Waiters, Depends(_waiters)]

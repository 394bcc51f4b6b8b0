"""Reads `Prefer: wait=N` as RFC 7240 writes it: in any case, with blanks, quotes and several headers."""

import re
from collections.abc import Iterable
from typing import Annotated

from fastapi import Depends, Header, Request

MAX_WAIT = 30.0
"""The longest `Prefer: wait`, in seconds: below what proxies bear."""

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


def _seconds(request: Request, prefer: Annotated[str | None, Header(description="wait=N")] = None) -> float:
    return 0.0 if prefer is None else seconds_to_wait(request.headers.getlist("prefer"))


Seconds = Annotated[float, Depends(_seconds)]

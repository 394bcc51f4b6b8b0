"""Keeps tasks of asyncssh that nothing waits for from writing a traceback about a connection that was cut."""

import asyncio
from typing import Any

import asyncssh

BROKEN = (asyncssh.Error, OSError, asyncio.CancelledError)


def say_no_broken_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Leave out what such a task met: whoever waits for the file meets the same, and says it in one line.

    A read or write of several packets is a task for each of them, and the library looks at the first that fails.
    """
    loop.set_exception_handler(_handle)


def _handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if not ("future" in context and isinstance(context.get("exception"), BROKEN)):
        loop.default_exception_handler(context)

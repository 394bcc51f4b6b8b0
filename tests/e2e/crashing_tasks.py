"""What kills a worker from inside, for a worker started with `--include`: a task, and calls for certain definitions."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from celery import signals

from sfmc_import.celery_app import app

FOLDER = "DEADLY_FOLDER"
"""The variable that names a folder: what a file in it is called kills."""


def die() -> None:
    """End this process as a segmentation fault or the kernel's memory killer does."""
    os.kill(os.getpid(), signal.SIGKILL)


def deadly_names() -> Iterator[str]:
    """Give the names that kill now."""
    yield from (path.name for path in Path(os.environ[FOLDER]).iterdir())


def watch(data: bytes) -> None:
    """Die just before a query is sent that names a deadly definition."""
    if any(name.encode() in data for name in deadly_names()):
        die()


ANSWER = "answer-"
"""With this before its name a definition kills who reads an answer about one of its runs."""


def watch_answer(data: bytes) -> None:
    """Die over an answer with a run of a deadly definition, as over one that crashes its reader."""
    killers = (name.removeprefix(ANSWER) for name in deadly_names() if name.startswith(ANSWER))
    if b"ImportResultsSummary" in data and any(name.encode() in data for name in killers):
        die()


@app.task(name="deadly.unless_fixed")
def unless_fixed(name: str, note: str) -> None:
    """Die while this name is deadly; then leave a note."""
    if Path(os.environ[FOLDER], name).exists():
        die()
    Path(note).touch()


@signals.celeryd_after_setup.connect
def keep_watch(**_: Any) -> None:
    """Look at what workers send and read over plain sockets; the connections to Redis send in another way."""
    plain_send, plain_read = socket.socket.send, socket.socket.recv_into

    def send(connection: socket.socket, data: Any, *flags: int) -> int:
        watch(bytes(data))
        return plain_send(connection, data, *flags)

    socket.socket.send = send  # type: ignore[method-assign, assignment]

    def recv_into(connection: socket.socket, buffer: Any, *options: int) -> int:
        size = plain_read(connection, buffer, *options)
        watch_answer(bytes(memoryview(buffer)[:size]))
        return size

    socket.socket.recv_into = recv_into  # type: ignore[method-assign, assignment]

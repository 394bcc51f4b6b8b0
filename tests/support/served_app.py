"""Serves an ASGI application from a thread of this process, over real sockets."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from sfmc_server.connection import TimedConnection
from sfmc_server.serving import listen
from tests.support.waiting import eventually


@contextmanager
def served(app: FastAPI, http: type[TimedConnection] = TimedConnection) -> Iterator[int]:
    """Serve it as `sfmc-import serve` does, and give the port."""
    with listen("127.0.0.1", 0) as listening:
        config = uvicorn.Config(app, http=http, ws="none", lifespan="on", log_config=None, log_level="error")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        eventually(lambda: server.started, 10, "the server listens")
        try:
            yield int(listening.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(20)

"""Notices a Redis that was started anew or took over: nothing in it says so, and it may lack the last writes."""

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from sfmc_import.ledger.arguments import as_json
from sfmc_import.ledger.keys import Keys

Execute = Callable[..., Any]

_RUN_ID = re.compile(rb"run_id:(\w+)")


class ServerWatch:
    """Notes in the ledger which run of which server answers; from another one on, starts are careful.

    `script` is the text of the step `note_server`.
    """

    def __init__(self, script: str, keys: Keys) -> None:
        self._script = script
        self._keys = keys
        self._run_id: str | None = None
        # Called with the `run_id` of a server that may lack the last writes.
        self.on_change: Callable[[str], object] = str

    def note(self, run_id: str, execute: Execute) -> None:
        """Note which run of a server answers; `execute` sends one command to it."""
        # A process may have missed a server between two that are the same to it: the ledger compares.
        note = as_json({"run_id": run_id, "is_another": self._run_id not in {None, run_id}})
        changed = execute("EVAL", self._script, 2, self._keys.due, self._keys.stream, note)
        self._run_id = run_id
        if changed:
            self.on_change(run_id)

    def watch(self, client: Redis) -> None:
        """Note the server on each connection that this client makes from now on, before anything is asked on it."""
        client.connection_pool.connection_kwargs["redis_connect_func"] = self._on_connect

    def _on_connect(self, connection: Any) -> None:
        connection.on_connect()

        def execute(*command: Any) -> Any:
            connection.send_command(*command)
            return connection.read_response()

        # A server that refuses this refuses the steps as well, and says so there.
        with suppress(ResponseError):
            found = _RUN_ID.search(execute("INFO", "server"))
            if found is not None:
                self.note(found[1].decode(), execute)

"""Producers as real processes beside a Redis, for tests."""

import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path

from sfmc_local.processes import spawn, stop
from tests.support import secrets_watch
from tests.support.ready_command import run_command
from tests.support.secrets_watch import WATCH
from tests.support.waiting import eventually

MID = "510001234"
NOWHERE = "http://127.0.0.1:9/Service.asmx"
QUICK = ["--stable-seconds", "0.1", "--rescan", "0.2", "--json"]


class Place:
    """A folder to watch, a Redis, and the settings of the processes."""

    def __init__(self, tmp_path, valkey):
        self.folder, self.logs, self.valkey = tmp_path / "in", tmp_path, valkey
        self.folder.mkdir()
        self.env = os.environ | {
            "SFMC_REDIS_URL": valkey.url,
            "SFMC_ACCOUNT_ID": MID,
            "SFMC_AUTH_URL": NOWHERE,
            "SFMC_SOAP_URL": NOWHERE,
            "SFMC_CLIENT_ID": "id",
            "SFMC_CLIENT_SECRET": "a-secret-of-this-test",
            "SFMC_CALL_RETRY_SECONDS": "0.5",
        }
        self.count = 0

    def put(self, name, text="id\n1\n"):
        (self.folder / name).write_text(text)

    @contextmanager
    def watcher(self, *options, dirs=None, within=()):
        """Keep a watcher of the folder, or of `dirs`, running; `within` is a command that starts it."""
        self.count += 1
        log = self.logs / f"watch-{self.count}.log"
        watch = [sys.executable, "-m", "sfmc_import", "watch", *(dirs or [str(self.folder)]), *QUICK, *options]
        command = [*within, *watch]
        with log.open("wb") as output:
            child = spawn(command, env=self.env, output=output)
        try:
            yield Watcher(child, log)
        finally:
            stop(child)
            assert not WATCH.seen_in(secrets_watch.files_of(self.logs))

    def run(self, *command, **env):
        """Run a command to its end."""
        done = run_command(command, env=self.env | env, cwd=Path.cwd(), seconds=60)
        assert not WATCH.seen_in([(" ".join(command), done.stdout + done.stderr)])
        return done


class Watcher:
    """A running `sfmc-import watch` and its log."""

    def __init__(self, process, log):
        self.process, self._log = process, log

    def lines(self):
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def events(self):
        return [each["event"] for each in self.lines()]

    def await_event(self, event, count=1, within=60):
        def seen():
            assert self.process.poll() is None, self._log.read_text()
            return self.events().count(event) >= count

        eventually(seen, within, f"{event} number {count} stands in the log")
        return [each for each in self.lines() if each["event"] == event][count - 1]

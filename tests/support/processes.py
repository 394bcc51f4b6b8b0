"""The whole system as real processes for tests: Valkey, sandbox, workers, beats, watchers."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import orjson
import redis as redis_py

from sfmc_local.processes import stop
from sfmc_local.redis_server import Valkey
from tests.support import rights, secrets_watch
from tests.support.event_schema import problems_in
from tests.support.ready_command import run_command, start_command
from tests.support.sandbox_server import SandboxProcess
from tests.support.secrets_watch import WATCH
from tests.support.waiting import eventually

STREAM = "sfmc-import:events"
DUE = "{sfmc-import:events}:due"
QUICK = {
    "SFMC_LEASE_SECONDS": "8",
    "SFMC_CONNECT_TIMEOUT": "1",
    "SFMC_READ_TIMEOUT": "3",
    "SFMC_RESULTS_DELAY": "1",
    "SFMC_RECONCILE_DEADLINE": "4",
    "SFMC_CALL_RETRY_SECONDS": "2",
    "SFMC_RETRY_BACKOFF": "0.5",
    "SFMC_RETRY_BACKOFF_CAP": "2",
    "SFMC_FOLLOW_MIN_INTERVAL": "0.2",
    "SFMC_FOLLOW_MAX_INTERVAL": "1",
    "SFMC_SWEEP_SECONDS": "0.2",
    "SFMC_DEFINITION_TTL": "2",
    "SFMC_CONCURRENCY": "8",
    "SFMC_LOG_FORMAT": "json",
}
"""Settings that make hours into seconds."""


class RunningSystem:
    """A Redis, a sandbox, and processes of the product between them; made by `running_system`."""

    def __init__(
        self,
        valkey: Valkey,
        sandbox: SandboxProcess,
        folder: Path,
        settings: Mapping[str, str],
        *,
        least_rights: bool = False,
    ) -> None:
        self.valkey, self.sandbox, self.folder = valkey, sandbox, folder
        self.client = redis_py.Redis.from_url(valkey.url, socket_timeout=10)
        self._settings = dict(settings)
        self.least_rights = least_rights
        if least_rights:
            rights.set_users(self.client)
        self._children: list[subprocess.Popen[bytes]] = []
        self._printed: list[tuple[str, str]] = []

    @property
    def env(self) -> dict[str, str]:
        """The environment of every process: the sandbox's addresses and login, quick times."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SFMC_")}
        return kept | QUICK | {"SFMC_REDIS_URL": self.valkey.url} | self.sandbox.settings() | self._settings

    def url_for(self, user: str) -> str:
        """The address for a user, as a role has one of its name."""
        return f"redis://{user}:{rights.PASSWORD}@127.0.0.1:{self.valkey.port}/0"

    def _env_of(self, command: Sequence[str]) -> dict[str, str]:
        user = {"SFMC_REDIS_URL": self.url_for(rights.role_of(command))} if self.least_rights else {}
        return self.env | user

    def start(self, *command: str, **settings: str) -> subprocess.Popen[bytes]:
        """Start `sfmc-import COMMAND …`; its output goes to a file of the system's folder."""
        log = self.folder / f"{command[0]}-{len(self._children)}.log"
        with log.open("wb") as output:
            child = start_command(command, env=self._env_of(command) | settings, output=output)
        self._children.append(child)
        return child

    def worker(self, *options: str, ready: bool = True, **settings: str) -> subprocess.Popen[bytes]:
        """Start a worker and wait until it takes messages."""
        heartbeat = self.folder / f"heartbeat-{len(self._children)}"
        child = self.start("worker", *options, SFMC_HEARTBEAT_FILE=str(heartbeat), **settings)
        if ready:
            log = self.log_of(child)
            eventually(lambda: _is_ready(heartbeat) or _ended(child, log), 60, "the worker is ready")
        return child

    def beat(self, **settings: str) -> subprocess.Popen[bytes]:
        """Start a beat and wait until it schedules: before that `start` says that none runs."""
        heartbeat = self.folder / f"heartbeat-{len(self._children)}"
        child = self.start("beat", SFMC_HEARTBEAT_FILE=str(heartbeat), **settings)
        log = self.log_of(child)
        eventually(lambda: _is_ready(heartbeat) or _ended(child, log), 60, "the beat is ready")
        return child

    def log_of(self, child: subprocess.Popen[bytes]) -> Path:
        """The file with what a process printed."""
        number = self._children.index(child)
        return next(self.folder.glob(f"*-{number}.log"))

    def run(self, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a command of `sfmc-import` to its end."""
        done = run_command(command, env=self._env_of(command) | settings, cwd=self.folder, seconds=60)
        self._printed.append((" ".join(command), done.stdout + done.stderr))
        return done

    def events(self, request_id: str | None = None) -> list[dict[str, Any]]:
        """The events so far, of one request or of all, oldest first."""
        entries: Any = self.client.xrange(STREAM)
        events = [orjson.loads(fields[b"event"]) for _, fields in entries]
        return [e for e in events if request_id in {None, e["data"].get("request_id")}]

    def names(self, request_id: str | None = None) -> list[str]:
        """The types of the events so far, without their common beginning."""
        return [event["type"].removeprefix("sfmc.import.") for event in self.events(request_id)]

    def await_event(
        self, name: str, request_id: str | None = None, *, within: float = 60, count: int = 1
    ) -> dict[str, Any]:
        """Wait for the `count`-th event of this type and give it."""

        def found() -> list[dict[str, Any]]:
            events = [e for e in self.events(request_id) if e["type"] == f"sfmc.import.{name}"]
            return events[count - 1 :]

        return eventually(found, within, f"event {name} number {count} of {request_id or 'any request'}")[0]

    def await_idle(self, within: float = 60) -> None:
        """Wait until no request is unfinished."""
        eventually(lambda: self.client.zcard(DUE) == 0, within, "nothing is due any more")

    def kill(self, child: subprocess.Popen[bytes]) -> None:
        """kill -9 a process and its children."""
        os.killpg(child.pid, signal.SIGKILL)
        child.wait(60)

    def close(self) -> None:
        """End every process."""
        for child in reversed(self._children):
            stop(child, within=60)
        wrong: list[str] = []
        # A test may have killed this Redis for good.
        with self.client, suppress(redis_py.RedisError):
            wrong = problems_in(self.client)
            wrong += rights.refused(self.client) if self.least_rights else []
        assert not wrong, "\n".join(wrong[:10])
        self._look_for_secrets()

    def _look_for_secrets(self) -> None:
        WATCH.use(*secrets_watch.tokens_of(self.folder / "sandbox"))
        texts = [*self._printed, *secrets_watch.files_of(self.folder), *secrets_watch.writes_to(self.valkey)]
        seen = WATCH.seen_in([*texts, ("the sandbox", "".join(self.sandbox.errors))])
        assert not seen, "\n".join(seen[:10])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _is_ready(heartbeat: Path) -> bool:
    return heartbeat.is_file() and heartbeat.read_text().startswith("ready")


def _ended(child: subprocess.Popen[bytes], log: Path) -> bool:
    if child.poll() is not None:
        raise AssertionError(f"the process ended with {child.returncode}:\n{log.read_text()[-3000:]}")
    return False


@contextmanager
def running_system(
    settings: Mapping[str, str] | None = None, sandbox_options: Sequence[str] = (), *, least_rights: bool = False
) -> Iterator[RunningSystem]:
    """Start Valkey and a sandbox of their own; the test starts the processes it wants.

    With `least_rights` each process has a user with the rights of its role, and nothing that it asked for was refused.
    """
    with ExitStack() as parts:
        folder = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="sfmc-")))
        users = folder / "users.acl"
        users.touch()
        valkey = parts.enter_context(Valkey(tcp=True, options={"aclfile": str(users)} if least_rights else None))
        options = ["--token-length", str(next(WATCH.lengths)), *sandbox_options]
        sandbox = parts.enter_context(SandboxProcess(options, data=folder / "sandbox"))
        yield parts.enter_context(RunningSystem(valkey, sandbox, folder, settings or {}, least_rights=least_rights))

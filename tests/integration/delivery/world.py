"""Deliveries to an SFTP server that fails as a test asks; what lies there is looked at when a request is submitted."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import redis as redis_py
from pydantic import SecretStr

from sfmc_import.ledger.keys import Keys
from sfmc_producers.delivery.content import LocalFile
from sfmc_producers.delivery.deliveries import Target
from sfmc_producers.delivery.job import Job, deliver
from sfmc_producers.delivery.records import Held, Mine, Records
from sfmc_producers.delivery.sftp import SftpOptions, SftpSession
from sfmc_producers.stability import FileStat
from tests.support.sftp_server import PASSWORD, USER, SftpTestServer

KEYS = Keys()
FINGERPRINT = "f1"
SIZE = 1_000_000


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class World:
    """One source file, one target and its records; `submitted` has each request with the digest of what lay there."""

    client: redis_py.Redis
    server: SftpTestServer
    path: Path
    timeout: float = 10.0
    submitted: list[tuple[str, str | None]] = field(default_factory=list)

    @property
    def place(self) -> Path:
        return self.server.root / "Import"

    @property
    def names(self) -> list[str]:
        return sorted(each.name for each in self.place.iterdir())

    @property
    def records(self) -> Records:
        return Records(self.client, KEYS, 60)

    @property
    def options(self) -> SftpOptions:
        return SftpOptions(
            host="127.0.0.1", port=self.server.port, user=USER, host_keys=(self.server.fingerprint,),
            timeout=self.timeout, connections=1,
        )  # fmt: skip

    def session(self, password: str = PASSWORD) -> SftpSession:
        return SftpSession(self.options, SecretStr(password))

    @contextmanager
    def target(self, password: str = PASSWORD) -> Iterator[Target]:
        """What one process has of the target."""
        opened: list[SftpSession] = []

        def open_one() -> SftpSession:
            opened.append(self.session(password))
            return opened[-1]

        made = Target("ftp", self.options, self.options.place, open_one, self.records, lambda: 0.0, f"{USER}@there")
        try:
            yield made
        finally:
            made.close(10)

    def job(
        self, name: str = "orders.csv", request: str = "r1", fingerprint: str = FINGERPRINT, **more: Any
    ) -> Job[str]:
        status = self.path.stat()
        seen = FileStat(self.path.name, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        content = more.pop("open_content", partial(LocalFile, self.path, seen))
        submit = more.pop("submit", partial(self.submit, request, name))
        return Job(request, fingerprint, name, "sftp://there/Import", ("1", "orders"), content, submit)

    def submit(self, request: str, name: str = "orders.csv") -> str:
        there = self.place / name
        self.submitted.append((request, digest(there.read_bytes()) if there.exists() else None))
        return request

    def deliver(self, job: Job[str] | None = None, records: Records | None = None) -> str | Held | None:
        """One try, over a connection of its own."""
        session = self.session()
        try:
            session.connect()
            return deliver(job or self.job(), records or self.records, lambda: session)
        finally:
            session.close()

    def begin(self, name: str = "orders.csv") -> None:
        """Stands for an attempt that died while it uploaded."""
        claim = self.records.claim(f"sftp://there/Import/{name}", FINGERPRINT, "r1")
        assert isinstance(claim, Mine)
        claim.lease.end()

    def let_leases_end(self) -> None:
        """Stands for the 90 seconds after which another takes over."""
        for key in self.client.scan_iter(f"{KEYS.tag}delivery:*"):
            self.client.hset(key, "lease", 0)

    def is_done(self) -> bool:
        """Whether the file was submitted once, while its bytes and nothing else lay there."""
        assert self.submitted == [("r1", digest(self.path.read_bytes()))]
        assert self.names == ["orders.csv"]
        return True


def on_call(operation: str, number: int, action: Callable[[], None]) -> Callable[[str, str], None]:
    """Act at the n-th call of an operation, counted from 0."""
    calls = iter(range(1_000_000))

    def meet(called: str, _: str) -> None:
        if called == operation and next(calls) == number:
            action()

    return meet


def random_file(path: Path, size: int) -> bytes:
    path.write_bytes(content := os.urandom(size))
    return content

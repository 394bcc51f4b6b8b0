"""SFTP servers of asyncssh in a thread of the test process: a good one, and one that fails as a test asks."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import asyncssh
import pytest
import redis as redis_py

from tests.integration.delivery.world import SIZE, World, random_file
from tests.support.sftp_server import SftpTestServer

PASSWORD = "sftp-Password-of-tests-1"


class Login(asyncssh.SSHServer):
    tries = 0
    connections: ClassVar[list[asyncssh.SSHServerConnection]] = []

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        Login.connections.append(conn)

    @staticmethod
    async def cut_all() -> None:
        while Login.connections:
            each = Login.connections.pop()
            each.abort()
            await each.wait_closed()

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:  # noqa: ARG002
        Login.tries += 1
        return password == PASSWORD


@dataclass
class SftpServer:
    port: int
    folder: Path
    fingerprint: str

    def names(self) -> list[str]:
        return sorted(each.name for each in (self.folder / "Import").iterdir())


@pytest.fixture
def sftp_server(tmp_path) -> Iterator[SftpServer]:
    folder = tmp_path / "served"
    (folder / "Import").mkdir(parents=True)
    key = asyncssh.generate_private_key("ssh-ed25519")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1", 0, server_host_keys=[key], server_factory=Login, config=None,
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(server.folder)),
        )  # fmt: skip

    async def end() -> None:
        listener.close()
        await listener.wait_closed()
        await Login.cut_all()

    server = SftpServer(0, folder, key.get_fingerprint())
    listener = asyncio.run_coroutine_threadsafe(listen(), loop).result(30)
    Login.tries = 0
    server.port = listener.get_port()
    yield server
    asyncio.run_coroutine_threadsafe(end(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(30)
    loop.close()


@pytest.fixture
def world(redis_server, tmp_path) -> Iterator[World]:
    """A file of a million bytes and a server that fails as a test asks."""
    (tmp_path / "served" / "Import").mkdir(parents=True)
    random_file(tmp_path / "orders.csv", SIZE)
    with (
        SftpTestServer(tmp_path / "served") as server,
        redis_py.Redis.from_url(redis_server.url, socket_timeout=10) as client,
    ):
        yield World(client, server, tmp_path / "orders.csv")

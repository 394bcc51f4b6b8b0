"""An SFTP server in this process: asyncssh's own, over a folder, that counts logins and fails as a test asks."""

import asyncio
import os
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Self

import asyncssh

from tests.support.secrets_watch import WATCH

USER, PASSWORD = "drop", "a-password-of-the-sftp-server"
WATCH.use(PASSWORD)


class SftpTestServer:
    """Serves `root` at 127.0.0.1:`port` until closed.

    `errors` says of each connection that has ended how: None when its client closed it in order.
    `logins` are the (method, accepted) of every try, `connections` how many were ever opened, `open` how many are now,
    `peak` the most at a time. `stalls` names operations (scandir, lstat, open, read, write, close, rename,
    posix_rename, remove) that never answer; `entries` takes the place of a listing; `attributes` changes the attributes
    of each entry; `before` and `after` are called around operations with the operation and the path, and what `before`
    raises is the answer. `lie` gives the size that is said for a path and its size; `full_at` is the byte at which
    every file meets a full disk; `loses` says which writes (path, offset) are confirmed and not done; `pause` is how
    many seconds 100,000 bytes take, one write after the other; `written` counts the bytes that came. With `program`,
    that of OpenSSH, it answers instead, and paths are those of this machine.
    """

    def __init__(
        self, root: Path, *, authorized: Sequence[asyncssh.SSHKey] = (), port: int = 0, program: Path | None = None
    ) -> None:
        self.root, self.port, self.authorized, self.program = root, port, list(authorized), program
        self.host_keys = [asyncssh.generate_private_key("ssh-ed25519")]
        self.methods = {"password", "publickey"}
        self.most_connections: int | None = None
        self.logins: list[tuple[str, bool]] = []
        self.connections = self.peak = 0
        self.open: set[asyncssh.SSHServerConnection] = set()
        self.errors: list[Exception | None] = []
        self.stalls: set[str] = set()
        self.ends_refused_logins = False
        self.entries: Callable[[str], AsyncIterator[asyncssh.SFTPName]] | None = None
        self.attributes: Callable[[asyncssh.SFTPAttrs], None] = lambda _: None
        self.before: Callable[[str, str], None] = lambda *_: None
        self.after: Callable[[str, str], None] = lambda *_: None
        self.lie: Callable[[str, int], int] = lambda _, size: size
        self.loses: Callable[[str, int], bool] = lambda *_: False
        self.full_at: int | None = None
        self.pause, self.written = 0.0, 0
        self.files: list[Any] = []
        self._turns = asyncio.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sftp-test-server", daemon=True)
        self._listener: asyncssh.SSHAcceptor | None = None

    @property
    def fingerprint(self) -> str:
        """That of its first host key."""
        return self.host_keys[0].get_fingerprint()

    def listen(self) -> None:
        """Accept connections, at the port it had before."""
        self._listener = self._run(self._listen())
        self.port = self._listener.get_port()

    def cut(self) -> None:
        """Close the listener and every connection at once."""
        self._run(self._cut())

    def drop(self) -> None:
        """Close every connection at once; new ones are accepted."""
        self._run(self._drop())

    def abort(self) -> None:
        """Cut every connection; for `before` and `after`."""
        for each in list(self.open):
            each.abort()

    def __enter__(self) -> Self:
        self._thread.start()
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        self._run(_cancel_rest())
        for each in self.files:
            each.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _listen(self) -> asyncssh.SSHAcceptor:
        return await asyncssh.create_server(
            lambda: _Login(self),
            "127.0.0.1",
            self.port,
            config=None,
            server_host_keys=self.host_keys,
            sftp_factory=None if self.program else lambda channel: _Files(self, channel),
            encoding=None,
            send_server_host_keys=True,
            login_timeout=10,
        )

    async def _cut(self) -> None:
        if self._listener is not None:
            self._listener.close()
            await self._listener.wait_closed()
            self._listener = None
        await self._drop()

    async def _drop(self) -> None:
        self.abort()


def openssh_program() -> Path | None:
    """OpenSSH's sftp-server, where this machine has it; it is rarely on PATH."""
    folders = ("/usr/lib/openssh", "/usr/libexec/openssh", "/usr/libexec", "/usr/lib/ssh", "/usr/lib/misc")
    found = shutil.which("sftp-server", path=os.pathsep.join((os.environ["PATH"], *folders)))
    return Path(found) if found else None


async def _cancel_rest() -> None:
    rest = [each for each in asyncio.all_tasks() if each is not asyncio.current_task()]
    for each in rest:
        each.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


class _Login(asyncssh.SSHServer):
    def __init__(self, server: SftpTestServer) -> None:
        self._server = server

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._conn, server = conn, self._server
        if server.most_connections is not None and len(server.open) >= server.most_connections:
            conn.abort()
        server.connections += 1
        server.open.add(conn)
        server.peak = max(server.peak, len(server.open))

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.errors.append(exc)
        self._server.open.discard(self._conn)

    def session_requested(self) -> asyncssh.SSHServerSession[bytes] | bool:
        return _Program(self._server.program) if self._server.program else False

    def password_auth_supported(self) -> bool:
        return "password" in self._server.methods

    def public_key_auth_supported(self) -> bool:
        return "publickey" in self._server.methods

    def kbdint_auth_supported(self) -> bool:
        return False

    def validate_password(self, username: str, password: str) -> bool:
        return self._answer("password", (username, password) == (USER, PASSWORD))

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        known = {each.get_fingerprint() for each in self._server.authorized}
        return self._answer("publickey", username == USER and key.get_fingerprint() in known)

    def _answer(self, method: str, accepted: bool) -> bool:
        self._server.logins.append((method, accepted))
        if not accepted and self._server.ends_refused_logins:
            self._conn.abort()
        return accepted


class _Program(asyncssh.SSHServerSession[bytes]):
    """Passes a session on to OpenSSH's sftp-server."""

    def __init__(self, program: Path) -> None:
        self._program, self._child, self._early = program, None, []

    def connection_made(self, chan: Any) -> None:
        self._chan = chan

    def subsystem_requested(self, subsystem: str) -> bool:
        return subsystem == "sftp"

    def session_started(self) -> None:
        self._task = asyncio.ensure_future(self._serve())

    def data_received(self, data: bytes, _type: Any) -> None:
        if self._child is None:
            self._early.append(data)
        else:
            self._child.stdin.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self._child is not None:
            self._child.stdin.close()

    async def _serve(self) -> None:
        pipe = asyncio.subprocess.PIPE
        self._child = await asyncio.create_subprocess_exec(str(self._program), stdin=pipe, stdout=pipe)
        self._child.stdin.writelines(self._early)
        while data := await self._child.stdout.read(65536):
            self._chan.write(data)
        await self._child.wait()


def _text(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")


class _Files(asyncssh.SFTPServer):
    def __init__(self, server: SftpTestServer, channel: Any) -> None:
        self._server = server
        super().__init__(channel, chroot=str(server.root).encode())

    async def _at(self, operation: str, path: bytes) -> None:
        if operation in self._server.stalls:
            await asyncio.Event().wait()
        self._server.before(operation, _text(path))

    def _past(self, operation: str, path: bytes) -> None:
        self._server.after(operation, _text(path))

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        await self._at("scandir", path)
        given = self._server.entries
        entries = given(path.decode()) if given else super().scandir(path)
        async for entry in entries:
            self._server.attributes(entry.attrs)
            yield entry

    async def lstat(self, path: bytes) -> Any:
        await self._at("lstat", path)
        found = asyncssh.SFTPAttrs.from_local(super().lstat(path))
        found.size = self._server.lie(_text(path), found.size or 0)
        return found

    async def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> Any:
        await self._at("open", path)
        file = super().open(path, pflags, attrs)
        self._server.files.append(file)
        return file

    async def read(self, file_obj: Any, offset: int, size: int) -> Any:
        await self._at("read", b"")
        return super().read(file_obj, offset, size)

    async def write(self, file_obj: Any, offset: int, data: bytes) -> int:
        await self._at("write", file_obj.name)
        server = self._server
        if server.pause:
            async with server._turns:
                over = asyncio.Event()
                asyncio.get_running_loop().call_later(server.pause * len(data) / 100_000, over.set)
                await over.wait()
        server.written += len(data)
        if server.full_at is not None and offset + len(data) > server.full_at:
            super().write(file_obj, offset, data[: max(0, server.full_at - offset)])
            raise asyncssh.SFTPNoSpaceOnFilesystem("no space left")
        lost = server.loses(_text(file_obj.name), offset)
        done = len(data) if lost else super().write(file_obj, offset, data)
        self._past("write", file_obj.name)
        return done

    async def close(self, file_obj: Any) -> None:
        await self._at("close", file_obj.name)
        super().close(file_obj)

    async def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        await self._at("posix_rename", oldpath)
        super().posix_rename(oldpath, newpath)
        self._past("posix_rename", oldpath)

    async def rename(self, oldpath: bytes, newpath: bytes) -> None:
        await self._at("rename", oldpath)
        super().rename(oldpath, newpath)
        self._past("rename", oldpath)

    async def remove(self, path: bytes) -> None:
        await self._at("remove", path)
        super().remove(path)
        self._past("remove", path)


def entry(name: bytes | str, *, size: int | None = 5, mtime: int | None = 1_700_000_000, mode: int | None = 0o100644):
    """An entry of a made-up listing."""
    attributes = asyncssh.SFTPAttrs(size=size, permissions=mode, atime=mtime, mtime=mtime)
    return asyncssh.SFTPName(name, "", attributes)


def listing_of(*entries: asyncssh.SFTPName) -> Callable[[str], AsyncIterator[asyncssh.SFTPName]]:
    """A made-up listing of every folder."""

    async def given(path: str) -> AsyncIterator[asyncssh.SFTPName]:
        for each in entries:
            yield each

    return given

"""An SFTP server for threads: a few connections that callers share, each question with a deadline."""

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Generator, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager, suppress
from typing import Any, TypeVar, cast

import asyncssh

from sfmc_producers.sources.receiving import SourceRefusedError, SourceUnavailableError
from sfmc_producers.sources.sftp.connection import CUTS, Connection, Connector, LoginCutError, said
from sfmc_producers.ssh_tasks import say_no_broken_tasks

T = TypeVar("T")

BATCH = 512
"""Entries of a folder that are fetched at a time."""

CHUNK_BYTES = 1 << 20
"""Bytes of a file that are fetched at a time, by several requests on their way at once."""

GRACE_SECONDS = 5.0
CLOSE_SECONDS = 2.0


class SftpServer:
    """At most `most` connections, opened when they are needed; safe for threads.

    A refused login or host key is remembered: nothing connects again. Every method raises SourceRefusedError or
    SourceUnavailableError, and asyncssh.SFTPError where the server answers that it cannot do what was asked.
    """

    def __init__(self, connector: Connector, *, most: int, seconds: float) -> None:
        self.address, self._connector = connector.address, connector
        self._most, self._seconds = most, seconds
        self._connections: list[Connection] = []
        # Held while a connection is opened: one login at a time, and none after a refused one.
        self._lock = threading.Lock()
        self._refused: SourceRefusedError | None = None
        self._cuts = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def entries(self, folder: bytes) -> Generator[Sequence[asyncssh.SFTPName], None, None]:
        """Give what is in a folder, some hundred entries at a time."""
        with self._borrowed() as connection:
            found = connection.sftp.scandir(folder)
            try:
                while batch := self._ask(connection, _next(found)):
                    yield batch
            except GeneratorExit:
                with suppress(asyncssh.SFTPError, SourceUnavailableError):
                    self._ask(connection, _closed(found))
                raise

    def lstat(self, path: bytes) -> asyncssh.SFTPAttrs | None:
        """Give the attributes of a path, of a link its own; None when there is nothing."""
        with self._borrowed() as connection:
            try:
                return self._ask(connection, connection.sftp.lstat(path))
            except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
                return None

    def rename(self, old: bytes, new: bytes) -> None:
        """Rename; a server may refuse a name that exists."""
        with self._borrowed() as connection:
            self._ask(connection, connection.sftp.rename(old, new))

    def remove(self, path: bytes) -> None:
        """Delete a file."""
        with self._borrowed() as connection:
            self._ask(connection, connection.sftp.remove(path))

    def make_folder(self, path: bytes) -> None:
        """Make a folder and those above it."""
        with self._borrowed() as connection:
            self._ask(connection, connection.sftp.makedirs(path, exist_ok=True))

    def content(self, path: bytes, offset: int) -> Generator[bytes, None, None]:
        """Read a file from `offset` on; each chunk has a deadline."""
        with self._borrowed() as connection:
            file = self._ask(connection, _opened(connection.sftp, path))
            try:
                while chunk := self._ask(connection, _read(file, offset)):
                    offset += len(chunk)
                    yield chunk
            finally:
                with suppress(asyncssh.SFTPError, SourceUnavailableError):
                    self._ask(connection, file.close())

    def disconnect(self) -> None:
        """Close the connections that no one uses; the next question opens one."""
        with self._lock:
            idle = [each for each in self._connections if not each.users]
            self._connections = [each for each in self._connections if each.users]
        for each in idle:
            with suppress(SourceUnavailableError, asyncssh.SFTPError):
                self._wait(_ended(each), CLOSE_SECONDS)

    def close(self) -> None:
        """Close every connection."""
        self.disconnect()
        with self._lock:
            left, self._connections = self._connections, []
            loop, self._loop = self._loop, None
        if loop is not None:
            for each in left:
                loop.call_soon_threadsafe(each.ssh.abort)
            loop.call_soon_threadsafe(loop.stop)
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)

    @contextmanager
    def _borrowed(self) -> Iterator[Connection]:
        connection = self._borrow()
        try:
            yield connection
        finally:
            with self._lock:
                connection.users -= 1

    def _borrow(self) -> Connection:
        """Give the connection with the fewest users, or a new one if all have some and one more is allowed."""
        with self._lock:
            self._connections = [each for each in self._connections if each.is_open]
            best = min(self._connections, key=lambda each: each.users, default=None)
            if best is None or (best.users and len(self._connections) < self._most):
                best = self._one_more(best)
            best.users += 1
            return best

    def _one_more(self, shared: Connection | None) -> Connection:
        try:
            connection = self._open()
        except SourceUnavailableError:
            if shared is None:
                raise
            # The server allows no further one: two share.
            return shared
        self._connections.append(connection)
        return connection

    def _open(self) -> Connection:
        if self._refused is not None:
            raise self._refused
        try:
            connection = self._wait(self._connector.open(), 4 * self._seconds)
        except SourceRefusedError as error:
            self._refused = error
            raise
        except LoginCutError as error:
            self._cuts += 1
            if self._cuts < CUTS:
                raise
            self._refused = self._connector.refused(f"it ended {CUTS} logins without an answer", is_sent=True)
            raise self._refused from error
        self._cuts = 0
        return connection

    def _ask(self, connection: Connection, question: Coroutine[Any, Any, T]) -> T:
        try:
            return self._wait(question, self._seconds)
        except TimeoutError:
            self._abort(connection)
            raise SourceUnavailableError(f"{self.address} gave no answer within {self._seconds:g} s") from None
        except (asyncssh.SFTPNoConnection, asyncssh.SFTPConnectionLost, asyncssh.SFTPBadMessage) as error:
            self._abort(connection)
            raise SourceUnavailableError(f"{self.address}: {said(error)}") from error
        except asyncssh.SFTPError:
            raise
        except (asyncssh.Error, OSError) as error:
            self._abort(connection)
            raise SourceUnavailableError(f"{self.address}: {said(error)}") from error

    def _wait(self, work: Coroutine[Any, Any, T], seconds: float) -> T:
        """Wait for what runs in the thread of the event loop; raises TimeoutError."""
        future: Future[T] = asyncio.run_coroutine_threadsafe(_within(work, seconds), self._running_loop())
        try:
            return future.result(seconds + GRACE_SECONDS)
        except FutureTimeoutError:
            future.cancel()
            raise TimeoutError from None

    def _abort(self, connection: Connection) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(connection.ssh.abort)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            say_no_broken_tasks(self._loop)
            self._thread = threading.Thread(target=_serve, args=(self._loop,), name="sfmc-sftp", daemon=True)
            self._thread.start()
        return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        loop.run_until_complete(_cancel_rest())
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


async def _cancel_rest() -> None:
    rest = [each for each in asyncio.all_tasks() if each is not asyncio.current_task()]
    for each in rest:
        each.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


async def _within(work: Coroutine[Any, Any, T], seconds: float) -> T:
    """Wait no longer, whatever the work does when it is cancelled: to close a handle, it asks the server again."""
    task = asyncio.ensure_future(work)
    task.add_done_callback(_look_at)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    finally:
        task.cancel()
    if not done:
        raise TimeoutError
    return task.result()


def _look_at(task: asyncio.Task[Any]) -> None:
    """Take the error of a task that may have no one to wait for it."""
    if not task.cancelled():
        task.exception()


async def _next(found: AsyncIterator[asyncssh.SFTPName]) -> list[asyncssh.SFTPName]:
    batch: list[asyncssh.SFTPName] = []
    async for entry in found:
        batch.append(entry)
        if len(batch) == BATCH:
            break
    return batch


async def _closed(found: AsyncIterator[asyncssh.SFTPName]) -> None:
    await found.aclose()  # type: ignore[attr-defined]


async def _opened(sftp: asyncssh.SFTPClient, path: bytes) -> asyncssh.SFTPClientFile:
    return await sftp.open(path, "rb")


async def _read(file: asyncssh.SFTPClientFile, offset: int) -> bytes:
    return cast("bytes", await file.read(CHUNK_BYTES, offset))


async def _ended(connection: Connection) -> None:
    connection.sftp.exit()
    connection.ssh.close()
    await connection.ssh.wait_closed()

"""One upload by SFTP: in small blocks, many under way, so that a slow line is no silent server."""

import asyncio
import os
import stat
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, BinaryIO, TypeVar

import asyncssh

from sfmc_producers.checked_files import OpenContent
from sfmc_producers.content_errors import ContentChangedError, ContentGoneError
from sfmc_producers.delivery.reading import Reading

BLOCK = 255 * 1024
"""What one request carries: the most that OpenSSH's server takes, and what must be confirmed within the timeout."""

READ = 16 * BLOCK
IN_FLIGHT = 16
REWIND = (IN_FLIGHT + 1) * BLOCK
"""What lies before the end of a temporary file by more than this was confirmed: only so much is ever under way."""

COMPARED = 1024 * 1024
TAIL = 16 * 1024
T = TypeVar("T")


class ContentFailedError(Exception):
    """Opening or reading the content failed with `error`: that says nothing about the target."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


class OtherBytesError(Exception):
    """What the server has is not what was sent."""


async def size_of(sftp: asyncssh.SFTPClient, path: str) -> int | None:
    """Give the size of a file; None where there is no file."""
    try:
        found = await sftp.lstat(path)
    except asyncssh.SFTPNoSuchFile:
        return None
    is_file = found.permissions is None or stat.S_ISREG(found.permissions)
    return found.size if is_file else None


class Upload:
    """Writes one file under the name `path`; each answer, and each read of the content, takes `wait` seconds at most.

    The whole takes at most that long for each block and each step.
    """

    def __init__(self, sftp: asyncssh.SFTPClient, path: str, wait: float) -> None:
        self._sftp, self._path, self._wait = sftp, path, wait
        self._reading = Reading(wait)
        self._tail, self._read = b"", memoryview(b"")

    async def run(self, open_content: OpenContent, tick: Callable[[int], None]) -> int:
        """Write the content from where an earlier attempt was cut; gives its size when the server has all of it."""
        try:
            content = await self._of_content(open_content)
            try:
                size = await self._send(content, tick)
            finally:
                await self._close(content)
            await self._confirm(size)
        except ContentFailedError as failed:
            await self._discard_if_over(failed.error)
            raise
        else:
            return size
        finally:
            # A read that hangs is left behind.
            self._reading.end()

    async def _close(self, content: BinaryIO) -> None:
        # What was read counts: a file that cannot be closed is left behind.
        with suppress(ContentFailedError):
            await self._of_content(content.close)

    async def _discard_if_over(self, error: BaseException) -> None:
        """Remove what was sent of a content that does not come back: the source may never submit it again."""
        if isinstance(error, (ContentChangedError, ContentGoneError, FileNotFoundError)):
            with suppress(asyncssh.SFTPError, TimeoutError):
                await self._soon(self._sftp.remove(self._path))

    async def _send(self, content: BinaryIO, tick: Callable[[int], None]) -> int:
        offset = 0
        if await self._of_content(content.seekable):
            offset = await self._resumed_at(content)
            await self._of_content(lambda: content.seek(offset))
        async with self._opened("r+b" if offset else "wb") as file:
            return await self._write(file, content, offset, tick)

    async def _resumed_at(self, content: BinaryIO) -> int:
        """Say how much of an earlier attempt is surely there: its last part is compared with the content."""
        there = await self._soon(size_of(self._sftp, self._path)) or 0
        size = await self._of_content(lambda: content.seek(0, os.SEEK_END))
        offset = min(there - REWIND, size)
        # What is longer than the content would stay behind its end.
        if offset <= 0 or there > size:
            return 0
        begin = max(0, offset - COMPARED)
        async with self._opened("rb") as file:
            theirs = await self._soon(file.read(offset - begin, begin))
            last = await self._soon(file.read(1, there - 1))
        await self._of_content(lambda: content.seek(begin))
        ours = await self._of_content(lambda: content.read(offset - begin))
        return offset if ours == theirs and last else 0

    async def _write(self, file: Any, content: BinaryIO, offset: int, tick: Callable[[int], None]) -> int:
        pending: deque[asyncio.Task[int]] = deque()
        try:
            while block := await self._next_block(content):
                await self._wait_until_under_way(pending, IN_FLIGHT - 1)
                tick(offset)
                pending.append(asyncio.ensure_future(file.write(block, offset)))
                offset += len(block)
            await self._wait_until_under_way(pending, 0)
        finally:
            for each in pending:
                each.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
        return offset

    async def _next_block(self, content: BinaryIO) -> bytes:
        if not self._read:
            data = await self._of_content(lambda: content.read(READ))
            self._read = memoryview(data)
            self._tail = (self._tail + data)[-TAIL:]
        block, self._read = bytes(self._read[:BLOCK]), self._read[BLOCK:]
        return block

    async def _wait_until_under_way(self, pending: "deque[asyncio.Task[int]]", most: int) -> None:
        while len(pending) > most:
            await self._soon(pending.popleft())

    async def _confirm(self, size: int) -> None:
        """Compare the size, and what is read at the end; a wrong file is removed."""
        found = await self._soon(size_of(self._sftp, self._path))
        if found == size and await self._ends_as_sent(size):
            return
        if found is not None:
            await self._soon(self._sftp.remove(self._path))
        if found != size:
            raise OtherBytesError(f"has {found} bytes after {size} were sent")
        raise OtherBytesError("has other bytes at the end than were sent")

    async def _ends_as_sent(self, size: int) -> bool:
        begin = size - len(self._tail)
        try:
            async with self._opened("rb") as file:
                found: Any = await self._soon(file.read(len(self._tail) + 1, begin))
        except asyncssh.SFTPPermissionDenied:
            # Some servers give no file back: then its size alone must do.
            return True
        return bool(found == self._tail)

    @asynccontextmanager
    async def _opened(self, mode: Any) -> AsyncIterator[Any]:
        file = await self._soon(self._open(mode))
        try:
            yield file
        finally:
            await self._soon(file.close())

    async def _open(self, mode: Any) -> Any:
        return await self._sftp.open(self._path, mode)

    async def _soon(self, answer: Awaitable[T]) -> T:
        return await asyncio.wait_for(answer, self._wait)

    async def _of_content(self, action: Callable[[], T]) -> T:
        """Do it in the thread of the content; raises ContentFailedError with what it raises."""
        try:
            return await self._reading.do_soon(action)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            raise ContentFailedError(error) from error

"""Opens and reads one content in a thread of its own, which is left behind when it hangs: the others go on."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from sfmc_producers.content_errors import ContentUnavailableError
from sfmc_producers.sources.deadlines import Caller

T = TypeVar("T")


class Reading:
    """What is asked of one content, one call after the other.

    Each takes `seconds` at most, and the first that does not is the last: ContentUnavailableError. The thread keeps no
    process from its end.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._caller = Caller("sfmc-content")
        self._is_left = False

    def do(self, action: Callable[[], T]) -> T:
        """Wait for a call, and give its answer or raise what it raised."""
        doing = self._begin(action)
        try:
            return doing.result(self._seconds)
        except TimeoutError:
            if doing.done():
                raise
            raise self._leave() from None

    async def do_soon(self, action: Callable[[], T]) -> T:
        """Do the same beside what else the event loop does."""
        doing = self._begin(action)
        answer = asyncio.wrap_future(doing)
        await asyncio.wait([answer], timeout=self._seconds)
        if not answer.done():
            answer.cancel()
            raise self._leave()
        return answer.result()

    def end(self) -> None:
        """End the thread after the calls that were begun."""
        self._caller.stop()

    def _begin(self, action: Callable[[], T]) -> "Future[T]":
        if self._is_left:
            raise ContentUnavailableError("the file is not read on after a read that gave no answer")
        doing: Future[T] = Future()
        self._caller.begin(lambda: _do(doing, action))
        return doing

    def _leave(self) -> ContentUnavailableError:
        self._is_left = True
        return ContentUnavailableError(f"the file was not read in time ({self._seconds:g} s)")


def _do(doing: "Future[T]", action: Callable[[], T]) -> None:
    try:
        answer = action()
    except BaseException as error:  # noqa: BLE001 - it is raised where the answer is wanted
        doing.set_exception(error)
    else:
        doing.set_result(answer)

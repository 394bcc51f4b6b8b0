"""Gives what waits to a thread, many at once: what comes while one batch is worked on is the next one."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

TURNS = 3
"""Turns of the event loop before a batch begins: it reads what has come, begins to handle it, and comes to `add`."""


class Batches(Generic[Item, Answer]):
    """Batches of at most `most` items, for one event loop.

    `work` gives for each item its answer, or the exception that its waiter gets. One batch is worked on at a time: so
    there is always something to collect under load, and when there is none a batch waits only until the loop has
    handled what has come already: a batch costs as much as two items. One that takes longer than `time_limit` seconds
    keeps no other waiting any more, as long as there are `threads`.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Sequence[Answer | Exception]],
        executor: Executor,
        *,
        threads: int,
        most: int,
        time_limit: float,
    ) -> None:
        self._work, self._executor = work, executor
        self._threads, self._most, self._time_limit = threads, most, time_limit
        self._waiting: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._newest: object = None
        self._is_beginning = False

    async def add(self, item: Item) -> Answer:
        """Wait for the answer to one item."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        self._begin_soon()
        return await answer

    def _begin_soon(self) -> None:
        if not self._is_beginning:
            self._is_beginning = True
            self._begin_after(TURNS)

    def _begin_after(self, turns: int) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(self._begin_after, turns - 1)
        else:
            self._is_beginning = False
            self._begin()

    def _begin(self) -> None:
        if self._waiting and self._newest is None and len(self._tasks) < self._threads:
            batch = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
            self._newest = batch
            task = asyncio.ensure_future(self._worked(batch))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    async def _worked(self, batch: "list[tuple[Item, asyncio.Future[Answer]]]") -> None:
        loop = asyncio.get_running_loop()
        time_limit = loop.call_later(self._time_limit, self._let_others_begin, batch)
        try:
            _tell(batch, await loop.run_in_executor(self._executor, self._work, [item for item, _ in batch]))
        except Exception as error:  # noqa: BLE001 - each waiter gets it
            _tell(batch, [error] * len(batch))
        finally:
            time_limit.cancel()
            for _, answer in batch:
                # Only at the end of the loop is one left without its answer.
                answer.cancel()
            self._let_others_begin(batch)

    def _let_others_begin(self, batch: object) -> None:
        if self._newest is batch:
            self._newest = None
            self._begin_soon()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._begin_soon()


def _tell(batch: Sequence[tuple[Item, "asyncio.Future[Answer]"]], answers: Sequence[Answer | Exception]) -> None:
    for (_, waiter), answer in zip(batch, answers, strict=True):
        if waiter.done():
            # Whoever waited has gone.
            continue
        if isinstance(answer, Exception):
            waiter.set_exception(answer)
        else:
            waiter.set_result(answer)

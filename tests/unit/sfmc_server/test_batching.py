"""What waits is worked on together; one batch that hangs, fails or is left keeps no other waiting."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sfmc_server.batching import Batches


class Work:
    """Notes its batches; one that has an item of `held` waits for the end of it."""

    def __init__(self, *held: int) -> None:
        self.held, self.go_on, self.batches = held, threading.Event(), list[list[int]]()
        self.begun = threading.Event()

    def __call__(self, items: Sequence[int]) -> list[int | Exception]:
        self.batches.append(list(items))
        self.begun.set()
        if set(items) & set(self.held):
            assert self.go_on.wait(30)
        return [ValueError(str(item)) if item < 0 else item * 10 for item in items]

    async def begins(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, 30)


def run(work: Callable[..., Any], play: Callable[[Batches[int, int]], Any], time_limit: float = 30.0) -> Any:
    async def main() -> Any:
        with ThreadPoolExecutor(2) as threads:
            return await play(Batches(work, threads, threads=2, most=3, time_limit=time_limit))

    return asyncio.run(main())


async def a_turn() -> None:
    """Let the loop begin what was given to it before."""
    loop = asyncio.get_running_loop()
    turned = loop.create_future()
    loop.call_soon(turned.set_result, None)
    await turned


def test_what_comes_while_a_batch_is_worked_on_is_the_next_one_up_to_its_size() -> None:
    work = Work(0)

    async def play(batches: Batches[int, int]) -> list[int]:
        first = asyncio.ensure_future(batches.add(0))
        await work.begins()
        waiting = [first, *(asyncio.ensure_future(batches.add(item)) for item in range(1, 6))]
        await a_turn()
        work.go_on.set()
        return await asyncio.gather(*waiting)

    assert run(work, play) == [0, 10, 20, 30, 40, 50]
    assert work.batches == [[0], [1, 2, 3], [4, 5]]


def test_what_has_come_before_a_batch_begins_is_one_batch() -> None:
    work = Work()

    async def play(batches: Batches[int, int]) -> list[int]:
        first = asyncio.ensure_future(batches.add(0))
        await a_turn()
        return await asyncio.gather(first, batches.add(1), batches.add(2))

    assert run(work, play) == [0, 10, 20]
    assert work.batches == [[0, 1, 2]]


def test_one_that_takes_longer_than_the_time_limit_lets_the_others_begin() -> None:
    work = Work(0)

    async def play(batches: Batches[int, int]) -> tuple[int, int]:
        slow = asyncio.ensure_future(batches.add(0))
        await work.begins()
        other = await batches.add(1)
        work.go_on.set()
        return await slow, other

    assert run(work, play, time_limit=0.0) == (0, 10)


def test_an_error_is_that_of_its_item_alone() -> None:
    async def play(batches: Batches[int, int]) -> list[Any]:
        return await asyncio.gather(*map(batches.add, (1, -2, 3)), return_exceptions=True)

    one, error, three = run(Work(), play)
    assert (one, type(error), three) == (10, ValueError, 30)


def test_work_that_fails_as_a_whole_is_the_error_of_each_and_the_next_batch_begins() -> None:
    def work(items: Sequence[int]) -> list[int | Exception]:
        if 1 in items:
            raise RuntimeError
        return list(items)

    async def play(batches: Batches[int, int]) -> int:
        with pytest.raises(RuntimeError):
            await batches.add(1)
        return await batches.add(2)

    assert run(work, play) == 2


def test_whoever_stops_waiting_changes_nothing_for_the_others() -> None:
    work = Work(0)

    async def play(batches: Batches[int, int]) -> int:
        first = asyncio.ensure_future(batches.add(0))
        await work.begins()
        waiting = [first, *(asyncio.ensure_future(batches.add(item)) for item in (1, 2))]
        await a_turn()
        waiting[1].cancel()
        work.go_on.set()
        return await waiting[2]

    assert run(work, play) == 20

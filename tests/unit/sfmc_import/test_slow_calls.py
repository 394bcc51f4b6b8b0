"""Work that takes long goes on by itself; its thread is free, and nothing of it is lost."""

import contextvars
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from sfmc_import.calls import SlowCalls, TooManySlowCallsError
from tests.support.waiting import eventually

SOON = 0.02


class Ends:
    """Gets the ends of work that went on by itself."""

    def __init__(self) -> None:
        self.seen: list[Future] = []

    def __call__(self, ended: Future) -> None:
        self.seen.append(ended)


@pytest.fixture
def gate():
    opened = threading.Event()
    yield opened
    opened.set()


def always() -> bool:
    return True


def never(_: object) -> None:
    raise AssertionError("it ended in time")


def test_quick_work_gives_its_value_and_its_error():
    calls = SlowCalls(20, 1, 1)

    assert calls.run(lambda: 7, always, never) == 7
    for error in (ValueError, TimeoutError):
        with pytest.raises(error):
            calls.run(lambda error=error: (_ for _ in ()).throw(error()), always, never)


def test_work_sees_the_context_of_its_caller():
    name = contextvars.ContextVar("name", default="")
    name.set("orders")

    assert SlowCalls(20, 1, 1).run(name.get, always, never) == "orders"


def test_slow_work_gives_the_thread_back_and_its_end_later(gate):
    calls, ends = SlowCalls(SOON, 1, 1), Ends()

    assert calls.run(lambda: gate.wait(60), always, ends) is None
    assert ends.seen == []
    gate.set()
    eventually(lambda: ends.seen, within=60, description="the work has ended")
    assert ends.seen[0].result() is True


def test_what_is_remembered_nowhere_else_is_waited_for(gate):
    calls = SlowCalls(SOON, 1, 1)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(calls.run, lambda: gate.wait(60), lambda: False, never)
        gate.set()

        assert waiting.result(60) is True


def test_beyond_the_limit_half_of_the_threads_wait_and_then_nothing_more_is_begun(gate):
    calls, ends = SlowCalls(SOON, 1, 4), Ends()
    with ThreadPoolExecutor(4) as threads:
        assert calls.run(lambda: gate.wait(60), always, ends) is None
        held = [threads.submit(calls.run, lambda: gate.wait(60), always, never) for _ in range(2)]
        eventually(calls._is_full, within=60, description="two threads wait")

        with pytest.raises(TooManySlowCallsError):
            calls.run(lambda: 1, always, never)
        gate.set()
        assert [one.result(60) for one in held] == [True, True]
    eventually(lambda: ends.seen, within=60, description="the first has ended")
    assert calls.run(lambda: 1, always, never) == 1


def test_closing_waits_for_what_goes_on(gate):
    calls, ends = SlowCalls(SOON, 1, 1), Ends()
    calls.run(lambda: gate.wait(60), always, ends)
    threading.Timer(SOON, gate.set).start()

    calls.close()

    assert ends.seen[0].result() is True

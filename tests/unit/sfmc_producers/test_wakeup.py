import os
import signal
import threading

import pytest

from sfmc_producers.notifications import Wakeup
from sfmc_producers.watch import ended_by_signals


@pytest.fixture
def wakeup():
    return Wakeup()


def test_any_number_of_rings_is_one(wakeup):
    for _ in range(100_000):
        wakeup.set()

    assert wakeup.wait(0) is True
    assert wakeup.wait(0) is False


def test_a_ring_from_another_thread_wakes_who_waits(wakeup):
    thread = threading.Thread(target=wakeup.set)
    thread.start()

    assert wakeup.wait(60) is True
    thread.join()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_rings_for_the_end_and_the_handlers_of_before_return(wakeup, number):
    before = signal.getsignal(number)
    with ended_by_signals(wakeup):
        os.kill(os.getpid(), number)

        assert wakeup.wait(60) is True
        assert wakeup.is_closing
    assert signal.getsignal(number) is before

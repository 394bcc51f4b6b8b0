import os
import signal
import threading

import pytest
from structlog.testing import capture_logs

from sfmc_producers.watch import Wakeup, ended_by_signals, notified


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


def written(made, to):
    to.write_bytes(made.read_bytes())


def moved_in(made, to):
    made.rename(to)


@pytest.mark.parametrize("arrive", [written, moved_in])
def test_a_file_that_is_written_or_moved_in_rings(wakeup, tmp_path, arrive):
    (tmp_path / "in").mkdir()
    (tmp_path / "made.csv").write_text("x")
    with notified(wakeup, [(tmp_path / "in", False)]):
        assert wakeup.wait(0) is False
        arrive(tmp_path / "made.csv", tmp_path / "in" / "a.csv")

        assert wakeup.wait(60) is True


def test_where_notifications_fail_the_watch_goes_on_without_them(wakeup, tmp_path):
    with capture_logs() as logs, notified(wakeup, [(tmp_path / "missing", False)]):
        pass

    assert [each["event"] for each in logs] == ["file_notifications_unavailable"]

import os
import signal
import threading
from contextlib import closing

import pytest
from structlog.testing import capture_logs

from producers.bell import Bell, ended_by_signals, notified


@pytest.fixture
def bell():
    with closing(Bell()) as bell:
        yield bell


def test_any_number_of_rings_is_one(bell):
    for _ in range(100_000):
        bell.ring()

    assert bell.wait(0) is True
    assert bell.wait(0) is False


def test_a_ring_from_another_thread_wakes_who_waits(bell):
    thread = threading.Thread(target=bell.ring)
    thread.start()

    assert bell.wait(30) is True
    thread.join()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_rings_for_the_end_and_the_handlers_of_before_return(bell, number):
    before = signal.getsignal(number)
    with ended_by_signals(bell):
        os.kill(os.getpid(), number)

        assert bell.wait(30) is True
        assert bell.is_closing
    assert signal.getsignal(number) is before


def written(made, to):
    to.write_bytes(made.read_bytes())


def moved_in(made, to):
    made.rename(to)


@pytest.mark.parametrize("arrive", [written, moved_in])
def test_a_file_that_is_written_or_moved_in_rings(bell, tmp_path, arrive):
    (tmp_path / "in").mkdir()
    (tmp_path / "made.csv").write_text("x")
    with notified(bell, [(tmp_path / "in", False)]):
        assert bell.wait(0) is False
        arrive(tmp_path / "made.csv", tmp_path / "in" / "a.csv")

        assert bell.wait(30) is True


def test_where_notifications_fail_the_watch_goes_on_without_them(bell, tmp_path):
    with capture_logs() as logs, notified(bell, [(tmp_path / "missing", False)]):
        pass

    assert [each["event"] for each in logs] == ["no_notifications"]

import os
import shutil
import signal
import threading

import pytest
from structlog.testing import capture_logs

from sfmc_producers.notifications import MOST_NAMES, NamedFiles, Notifications, Wakeup
from sfmc_producers.watch import ended_by_signals
from tests.support.waiting import eventually


@pytest.fixture
def wakeup():
    return Wakeup()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "made.csv").write_text("x")
    return tmp_path / "in"


@pytest.fixture
def notifications(folder, wakeup):
    notifications = Notifications(folder, wakeup, recursive=False)
    yield notifications
    notifications.stop()


def await_observer(notifications):
    eventually(lambda: notifications._observer and notifications._observer.is_alive(), 60, "notifications have begun")


def written(made, to):
    to.write_bytes(made.read_bytes())


def moved_in(made, to):
    made.rename(to)


@pytest.mark.parametrize("arrive", [written, moved_in])
def test_a_file_that_is_written_or_moved_in_rings(wakeup, folder, notifications, arrive):
    notifications.keep(1)
    await_observer(notifications)
    assert wakeup.wait(0) is False
    arrive(folder.with_name("made.csv"), folder / "a.csv")

    assert wakeup.wait(60) is True
    assert notifications.named.take() == {"a.csv"}


@pytest.mark.parametrize("identity", [1, 2])
def test_a_folder_that_is_removed_and_made_anew_rings_again(wakeup, folder, notifications, identity):
    notifications.keep(1)
    await_observer(notifications)
    before = notifications._observer
    shutil.rmtree(folder)
    folder.mkdir()

    def is_renewed():
        notifications.keep(identity)
        return notifications._observer not in {None, before} and notifications._observer.is_alive()

    eventually(is_renewed, 60, "the new folder is watched")
    wakeup.wait(0)
    (folder / "a.csv").write_text("x")

    assert wakeup.wait(60) is True


def test_files_of_subfolders_ring_too(wakeup, folder):
    for name in ("a", "b/c"):
        (folder / name).mkdir(parents=True)
    (folder / "b" / "link").symlink_to(folder)
    notifications = Notifications(folder, wakeup, recursive=True)
    with capture_logs() as logs:
        notifications.keep(1)
        await_observer(notifications)
        with notifications._lock:
            assert wakeup.wait(0) is False
        (folder / "b" / "c" / "a.csv").write_text("x")

        assert wakeup.wait(60) is True
    notifications.stop()
    assert logs == []


def test_where_notifications_fail_it_is_said_once(wakeup, tmp_path):
    notifications = Notifications(tmp_path / "missing", wakeup, recursive=False)
    with capture_logs() as logs:
        notifications.keep(1)
        eventually(lambda: logs, 60, "the failure is logged")
        notifications.keep(2)
        eventually(lambda: notifications._lock.acquire(timeout=60), 60, "the second try is over")
    notifications._lock.release()

    assert [each["event"] for each in logs] == ["file_notifications_unavailable"]


def test_notifications_that_failed_are_asked_for_again_after_a_while(wakeup, tmp_path):
    now = [0.0]
    folder = tmp_path / "later"
    notifications = Notifications(folder, wakeup, recursive=False, clock=lambda: now[0])
    with capture_logs() as logs:
        notifications.keep(1)
        eventually(lambda: logs, 60, "the failure is logged")
        folder.mkdir()
        now[0] = 59.0
        notifications.keep(1)
        assert notifications._observer is None
        now[0] = 61.0
        notifications.keep(1)
        await_observer(notifications)
        eventually(lambda: len(logs) == 2, 60, "it is said")
    notifications.stop()

    assert [each["event"] for each in logs] == ["file_notifications_unavailable", "file_notifications_available"]


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


def test_named_files_are_given_once_by_their_path_within_the_folder(tmp_path):
    named = NamedFiles(tmp_path)
    for path in (f"{tmp_path}/a.csv", f"{tmp_path}/sub/b.csv".encode(), f"{tmp_path}/a.csv"):
        named.add(path)

    assert (named.take(), named.take()) == ({"a.csv", "sub/b.csv"}, set())


@pytest.mark.parametrize("odd", ["/elsewhere/a.csv", ""])
def test_a_name_that_is_not_of_the_folder_asks_for_a_whole_scan(tmp_path, odd):
    named = NamedFiles(tmp_path)
    named.add(odd)
    named.add(f"{tmp_path}/a.csv")

    assert (named.take(), named.take()) == (None, set())


def test_more_names_than_a_scan_is_worth_ask_for_a_whole_scan(tmp_path):
    named = NamedFiles(tmp_path)
    for number in range(MOST_NAMES + 1):
        named.add(f"{tmp_path}/{number}")

    assert named.take() is None

import threading

from tests.support.left_running import left_running


def test_a_thread_that_runs_on_is_named_with_its_work() -> None:
    before, go = threading.enumerate(), threading.Event()
    thread = threading.Thread(target=go.wait, name="watcher", daemon=True)
    thread.start()
    try:
        assert left_running(before, grace=0) == ["watcher (Event.wait)"]
    finally:
        go.set()
        thread.join()


def test_what_ran_before_or_ends_soon_is_not_named() -> None:
    go = threading.Event()
    old, new = (threading.Thread(target=go.wait, daemon=True) for _ in range(2))
    old.start()
    before = threading.enumerate()
    new.start()
    threading.Thread(target=go.set).start()
    assert left_running(before) == []
    old.join()

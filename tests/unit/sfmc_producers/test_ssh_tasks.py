"""What a task of asyncssh met that nothing waits for is no line of its own; every other error is."""

import asyncio
import gc

import asyncssh
import pytest

from sfmc_producers.ssh_tasks import say_no_broken_tasks

CUT = asyncssh.SFTPConnectionLost("Connection lost")


@pytest.mark.parametrize(
    ("error", "lines"),
    [(CUT, 0), (asyncssh.SFTPFailure("no space left"), 0), (ConnectionResetError(104, "reset"), 0), (KeyError("x"), 1)],
    ids=lambda given: type(given).__name__,
)
def test_only_an_error_of_the_connection_that_nothing_waits_for_is_left_out(caplog, error, lines) -> None:
    async def fail() -> None:
        raise error

    async def leave_a_task() -> None:
        await asyncio.wait([asyncio.get_running_loop().create_task(fail())])

    loop = asyncio.new_event_loop()
    say_no_broken_tasks(loop)
    loop.run_until_complete(leave_a_task())
    gc.collect()
    loop.close()

    # A server of another test may still write its own lines.
    assert [each.name for each in caplog.records if each.name != "werkzeug"] == ["asyncio"] * lines


def test_an_error_of_the_loop_itself_is_said(caplog) -> None:
    loop = asyncio.new_event_loop()
    say_no_broken_tasks(loop)
    loop.call_exception_handler({"message": "a callback failed", "exception": ConnectionResetError()})
    loop.close()

    assert [each.message.splitlines()[0] for each in caplog.records] == ["a callback failed"]

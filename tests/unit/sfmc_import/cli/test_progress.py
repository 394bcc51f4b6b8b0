"""The line that says that a command waits: on a terminal only, and never within another line."""

import io

from sfmc_import.cli.progress import Progress, with_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_nothing_is_written() -> None:
    output = io.StringIO()

    assert list(with_progress(["a", "b"], str, output)) == ["a", "b"]
    assert output.getvalue() == ""


def test_the_line_names_the_newest_and_the_time_and_is_taken_away() -> None:
    output, now = Terminal(), iter([0.0, 75.0, 200.0])
    progress = Progress(output, every=3600, clock=lambda: next(now))
    progress.write()
    progress.newest = "started\x1b"
    progress.write()
    progress.stop()
    progress.write()
    progress.join(10)

    lines = output.getvalue().split("\r\x1b[K")
    assert lines == ["", "waiting for 75 s: accepted", "waiting for 3 min: started\\x1b", ""]


def test_each_line_of_the_command_begins_on_a_clear_one() -> None:
    output = Terminal()

    assert list(with_progress(iter(["a"]), str, output)) == ["a"]
    assert output.getvalue().startswith("\r\x1b[K")

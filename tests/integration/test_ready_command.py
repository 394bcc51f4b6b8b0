import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.ready_command import run_command, start_command
from tests.support.waiting import eventually

ENV = {"PATH": os.environ["PATH"], "SFMC_REDIS_URL": "redis://127.0.0.1:1/0"}


@pytest.mark.parametrize("command", [["--help"], ["status"], ["nonsense"]])
def test_a_forked_command_answers_as_one_in_a_new_interpreter(command: list[str], tmp_path: Path) -> None:
    forked = run_command(command, env=ENV, cwd=tmp_path, seconds=60)
    program = [sys.executable, "-m", "sfmc_import", *command]
    new = subprocess.run(program, env=ENV, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (forked.returncode, forked.stdout, forked.stderr) == (new.returncode, new.stdout, new.stderr)


def test_a_command_that_takes_too_long_is_killed_and_said(tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run_command(["watch", "."], env=ENV, cwd=tmp_path, seconds=0.01)


def test_a_command_that_runs_has_its_own_session_and_tells_by_which_signal_it_ended(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as output:
        child = start_command(["watch", str(tmp_path)], env=ENV, output=output)
    assert os.getsid(child.pid) == child.pid
    assert child.poll() is None
    os.killpg(child.pid, signal.SIGKILL)
    assert child.wait(30) == -signal.SIGKILL


def test_a_command_ends_with_the_process_that_waits_for_it(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as output:
        child = start_command(["watch", str(tmp_path)], env=ENV, output=output)
    parent = int(Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(parent, signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{child.pid}").exists(), 30, "the command ended")
    child.wait(30)

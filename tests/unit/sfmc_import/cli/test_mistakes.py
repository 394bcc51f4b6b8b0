import click
import pytest

from sfmc_import.cli.mistakes import error_lines
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.request import BadRequestError
from sfmc_import.settings import SettingsError
from sfmc_local.redis_server import NoServerError


def test_each_wrong_setting_has_its_line() -> None:
    answer = error_lines(SettingsError(["SFMC_X: wrong", "SFMC_Y: wrong too"]))

    assert answer is not None
    assert answer.lines == ["sfmc-import: 2 settings are wrong", "  SFMC_X: wrong", "  SFMC_Y: wrong too"]
    assert answer.exit_code == 2


def test_a_redis_that_is_away_is_named() -> None:
    answer = error_lines(LedgerUnavailableError("Connection refused."))

    assert answer is not None
    assert "Redis at redis://127.0.0.1:6379/0 does not answer: Connection refused" in answer.lines[0]
    assert answer.exit_code == 1


def test_wrong_use_points_to_the_help() -> None:
    context = click.Context(click.Command("status"), info_name="sfmc-import status")
    answer = error_lines(click.UsageError("no such option", context))

    assert answer is not None
    assert answer.lines == ["sfmc-import: no such option", "try: sfmc-import status --help"]
    assert answer.exit_code == 2


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (BadRequestError(["mid must be a number"]), 2),
        (NoServerError("no valkey-server here"), 1),
        (click.ClickException("not so"), 1),
        (click.Abort(), 130),
        (click.exceptions.Exit(1), 1),
        (BrokenPipeError(), 0),
    ],
)
def test_every_mistake_has_its_exit_code(error: Exception, exit_code: int) -> None:
    answer = error_lines(error)

    assert answer is not None
    assert answer.exit_code == exit_code


def test_what_is_nobodys_mistake_keeps_its_traceback() -> None:
    assert error_lines(KeyError("a bug")) is None

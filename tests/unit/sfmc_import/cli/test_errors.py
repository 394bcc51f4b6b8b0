import click
import pytest
from click.testing import CliRunner

from sfmc_import.cli.main import _usage_lines, cli
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


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("doctor --settings --move-ledger", "give either --settings or --move-ledger"),
        ("dead-letters show 1-0 --raw --json", "give either --raw or --json"),
        ("runs --json --format csv", "--json"),
    ],
)
def test_options_that_contradict_each_other_are_wrong_use(words: str, text: str) -> None:
    done = CliRunner().invoke(cli, words.split())

    assert (done.exit_code, text in done.output) == (2, True)

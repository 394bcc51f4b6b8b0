"""Completion of commands and definitions: without loading commands, and silent when nothing answers."""

from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from sfmc_import.cli import completing
from sfmc_import.cli.completion import completion
from sfmc_import.cli.lazy_group import LazyGroup, Subcommand
from sfmc_import.cli.main import cli

NOWHERE = {"SFMC_REDIS_URL": "redis://127.0.0.1:1/0", "SFMC_ACCOUNT_ID": "510001234"}


def refuse() -> click.Command:
    raise AssertionError("a command was loaded to complete its name")


def test_names_of_commands_are_completed_without_loading_one() -> None:
    group = LazyGroup(
        "x", sections={"One": {"start": Subcommand(refuse, "Start."), "status": Subcommand(refuse, "S.")}}
    )
    found = ShellComplete(group, {}, "x", "_X_COMPLETE").get_completions([], "sta")

    assert [(each.value, each.help) for each in found] == [("start", "Start."), ("status", "S.")]


def completed(words: str) -> list[str]:
    *before, last = words.split(" ")
    return [each.value for each in ShellComplete(cli, {}, "sfmc-import", "X").get_completions(before, last)]


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    policy = tmp_path / "policy.toml"
    policy.write_text('[[definition]]\ncustomer_key = "Daily_Orders"\n[[definition]]\ncustomer_key = "weekly"\n')
    for name, value in {**NOWHERE, "SFMC_CONFIG": str(policy)}.items():
        monkeypatch.setenv(name, value)
    return policy


@pytest.mark.parametrize("words", ["status d", "pause DAI", "resume d", "start d", "events --key d"])
def test_keys_of_the_policy_file_are_offered_while_redis_is_away(settings: Path, words: str) -> None:
    assert completed(words) == ["Daily_Orders"]


@pytest.mark.parametrize("name", ["SFMC_REDIS_URL", "SFMC_CONFIG"])
def test_wrong_settings_offer_nothing_and_say_nothing(
    settings: Path, monkeypatch: pytest.MonkeyPatch, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, "nonsense")

    assert completed("status d") == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("shell", "part"), [("zsh", "#compdef sfmc-import"), ("fish", "complete --no-files")])
def test_the_script_of_a_shell_is_printed(shell: str, part: str) -> None:
    done = CliRunner().invoke(cli, ["completion", shell])

    assert (done.exit_code, part in done.output, "_SFMC_IMPORT_COMPLETE" in done.output) == (0, True, True)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_a_shell_is_the_same_in_a_narrow_terminal(shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    printed = []
    for columns in ("40", "400"):
        monkeypatch.setenv("COLUMNS", columns)
        printed.append(CliRunner().invoke(cli, ["completion", shell]).output)

    assert printed[0] == printed[1]


def test_another_shell_is_wrong_use() -> None:
    assert CliRunner().invoke(cli, ["completion", "csh"]).exit_code == 2


def test_the_help_says_how_long_somebody_waits_at_most() -> None:
    assert f"within {completing.SECONDS:.0f} seconds" in " ".join(str(completion.help).split())

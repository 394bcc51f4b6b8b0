"""At 60 columns whatever a command prints for people keeps to them, also with the longest keys and names of files."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from sfmc_import.cli.main import COMMANDS, cli
from sfmc_import.cli.output import print_line, print_lines
from sfmc_import.errors import SfmcImportError
from sfmc_import.operations import tokens
from sfmc_import.request import FileInfo, StartRequest
from sfmc_producers.sources.dead_letters import SourceDeadLetters
from tests.support.console import MID, World, console_over

COLUMNS = 60
KEY = "Daily_Orders_of_the_Northern_Region_"
FILE = "n" * 200 + " of 2026.csv"
FOLDER = "/srv/incoming/" + "d" * 60
SECRET = "whsec_" + "YQ" * 22
HANGING = {"folder": FOLDER, "location": FOLDER, "state": "hanging", "since": 1772344800.0, "text": FOLDER, "more": 3}
POLICY = f"""
[[notify]]
name = "north"
kind = "webhook"
url = "https://example.com/hook"
events = ["completed_with_errors", "completed_suspicious", "import_failed", "gave_up", "rejected"]
keys = ["{KEY}"]

[[source]]
name = "tick"
kind = "schedule"
cron = "0 6 * * *"
customer_key = "{KEY}"
"""

PRINTING: dict[str, list[list[str]]] = {
    "status": [["status"], ["status", KEY], ["status", "--unmatched"], ["status", "--failures"]],
    "show": [["show", "ID"], ["show", FILE], ["show", "unknown"]],
    "events": [["events"], ["events", "--key", "unknown"]],
    "runs": [["runs"]],
    "follow": [["follow", "4712"]],
    "dead-letters": [["dead-letters"], ["dead-letters", "show", "LETTER"], ["dead-letters", "show", "1-1"]],
    "tokens": [["tokens", "list"], ["tokens", "revoke", "somebody-else"]],
    "notify": [["notify", "list"]],
    "pause": [["pause", "--list"], ["pause", KEY, "--reason", "columns of the files change " * 5]],
    "resume": [["resume", KEY], ["resume", KEY]],
    "force": [["force", "ID", "--reason", "now"]],
    "settle": [["settle", "ID", "--reason", "done"]],
    "replay": [["replay", "ID"]],
    "resolve": [["resolve", "ID", "--task-id", "1"]],
    "cancel": [["cancel", "ID"], ["cancel", "ID"]],
    "start": [["start", KEY, "--record-only"]],
    "explain": [["explain", "--source", "tick", FILE]],
    "scan": [["scan", "tick", "--dry-run"]],
    "doctor": [["doctor"]],
    "health": [["health"]],
    "usage": [["usage"]],
    "definitions": [["definitions", "refresh", KEY]],
    "folders": [["folders", "list"], ["folders", "forget", FOLDER]],
}
OTHER = {"demo", "sandbox", "worker", "beat", "watch", "source", "sources", "serve", "completion"}
"""Commands that run on and log, or print a script."""

WORD = re.compile(r"(?:\$?'(?:\\\\.|[^'])*'|\S)+")
"""What is never cut: a word, or a quoted name in a command."""


@pytest.fixture
def world(redis_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    (tmp_path / "policy.toml").write_text(POLICY)
    settings = {"SFMC_CONFIG": str(tmp_path / "policy.toml"), "SFMC_NOTIFY_NORTH_SECRET": SECRET}
    for name, value in {**settings, "SFMC_REDIS_URL": redis_server.url, "SFMC_ACCOUNT_ID": MID}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    with console_over(redis_server.url, **settings) as made:
        fill(made)
        yield made


def fill(world: World) -> None:
    """Put something long into each list."""
    tokens.add(world.access, "northern-region-" + "x" * 40, "source", "somebody", ("a" * 60, "b" * 60))
    letters = SourceDeadLetters(world.access.broker, world.access.broker_keys)
    letters.add("s" * 60, "1", b"body " * 100, "the record cannot be read: " * 10)
    file: Any = {"location": FOLDER, "name": FILE, "version": "1"}
    for _ in range(2):
        world.client.submit(customer_key=KEY, mid=MID, file=file)
    detail: Any = {"reason": "no_match", "text": "no definition matches " * 5, "customer_keys": [KEY, KEY]}
    world.client.report("unrouted", file=FileInfo(**file), detail=detail)
    waiting = {"name": FILE, "reason": "growing", "age": 3.0, "text": "it was changed " * 5}
    world.client.note_folders("w", [{**HANGING, "files": [waiting]}])
    rejected = StartRequest(request_id="r1", customer_key=KEY, mid=MID, file=FileInfo(**file))
    world.client.reject(
        customer_key=KEY, request_id="r1", code="preflight", text="line 2: " * 90, mid=MID, file=rejected.file
    )


def printed(world: World, command: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Run a command in this process and give its rows; an error is printed as the process does it."""
    known = {"ID": world.client.submit(customer_key=KEY, mid=MID, file={"name": "a.csv"}).request_id}
    known["LETTER"] = world.access.broker.xrange(world.access.broker_keys.dead_letters)[0][0].decode()
    try:
        cli.main([known.get(word, word) for word in command], "sfmc-import", standalone_mode=False)
    except SystemExit:
        pass
    except SfmcImportError as error:
        print_lines(error.lines())
    except click.ClickException as error:
        print_line(f"sfmc-import: {error.format_message()}")
    return "".join(capsys.readouterr()).splitlines()


@pytest.mark.parametrize("name", PRINTING)
def test_each_row_keeps_to_the_width_but_for_a_word_that_is_wider(
    world: World, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [row for command in PRINTING[name] for row in printed(world, command, capsys)]

    assert found
    assert [row for row in found if len(row) > COLUMNS and len(WORD.findall(row.removesuffix(" \\"))) > 1] == []


def test_every_command_is_tried() -> None:
    names = {name for section in COMMANDS.values() for name in section}

    assert names == PRINTING.keys() | OTHER
    assert not PRINTING.keys() & OTHER

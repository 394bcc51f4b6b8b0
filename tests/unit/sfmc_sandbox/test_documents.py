"""The pages about the sandbox name every property, fault and option, and only tests that exist."""

import re
from pathlib import Path

import pytest

from sfmc_sandbox.cli import sandbox
from sfmc_sandbox.fault_catalogue import CATALOGUE, Stage
from sfmc_sandbox.objects.kind import IMPORT_DEFINITION
from sfmc_sandbox.wire.schema import service_schema

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "ops" / "sandbox" / "docs" / "sandbox.md").read_text()
TABLE = (ROOT / "ops" / "sandbox" / "docs" / "sandbox-properties.md").read_text()


def test_the_table_has_one_line_for_each_property_in_wire_order() -> None:
    lines = re.findall(r"^\| (\d+) \| (\w+) \|", TABLE, re.MULTILINE)
    members = service_schema().types[IMPORT_DEFINITION].members
    assert lines == [(str(place), member.name) for place, member in enumerate(members, 1)]


def test_every_test_the_table_names_exists() -> None:
    defined = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    assert set(re.findall(r"`(test_\w+)(?:\[\w+\])?`", TABLE)) <= defined


@pytest.mark.parametrize("stage", Stage)
def test_every_fault_is_named_on_the_page_under_its_stage(stage: Stage) -> None:
    listed = {name for line in PAGE.split("\n\n") for name in re.findall(r"\b[a-z]+_?[a-z0-9_]+\b", line)}
    assert {kind.name for kind in CATALOGUE.values() if kind.stage is stage} <= listed


def test_every_setting_of_an_open_question_is_named_on_the_page() -> None:
    asked = {option.opts[0] for option in sandbox.params if "known" in (option.help or "")}  # type: ignore[attr-defined]
    assert asked >= {"--inside-window", "--conversation-ids"}
    assert all(option in PAGE for option in asked)


def test_every_option_has_a_help_text() -> None:
    assert all(option.help for option in sandbox.params if option.name != "help")  # type: ignore[attr-defined]

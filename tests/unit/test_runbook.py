"""The runbook knows every end of a request and every warning and error that our processes can log."""

import re
from pathlib import Path

import pytest

from sfmc_import.cli.main import COMMANDS
from sfmc_import.operations.fixing import FIXES, LOGIN_CODES, OF_A_REJECTION, OTHER
from sfmc_import.states import NOT_STARTED, TERMINAL
from tests.support.fault_codes import fault_codes

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "ops/docs/runbook.md").read_text(encoding="utf-8")
LOUD = re.compile(r'\.(?:warning|error|exception|critical)\(\s*"([a-z_]+)"')
CHOSEN = re.compile(r'"([a-z_]+)": "(?:warning|error)"')
FAILURES = re.compile(r'run_task_body\(\s*"([a-z_]+)"')
OF_FILES = re.compile(r'_log_once\(.*\), "([a-z_]+)"')


def logged(kind: re.Pattern[str]) -> set[str]:
    """The names of the events that are logged in this way, as the source has them."""
    sources = [path.read_text() for room in ("worker", "producers") for path in (ROOT / room).rglob("*.py")]
    return {name for text in sources for name in kind.findall(text)}


def test_every_end_of_a_request_is_explained() -> None:
    assert [state for state in (*TERMINAL, NOT_STARTED) if f"| `{state}`" not in TEXT] == []


@pytest.mark.parametrize("kind", [LOUD, CHOSEN, FAILURES, OF_FILES])
def test_every_warning_and_error_is_explained(kind: re.Pattern[str]) -> None:
    assert logged(kind)
    assert [name for name in sorted(logged(kind)) if f"`{name}`" not in TEXT] == []


def test_every_code_of_a_failure_is_explained() -> None:
    assert len(fault_codes()) > 50
    assert sorted(set(fault_codes()) - set(re.findall(r"`([a-z0-9_]+)`", TEXT))) == []


def test_what_helps_against_each_code_is_what_all_surfaces_say() -> None:
    assert [line for line in what_helps() if line not in TEXT.splitlines()] == []


def what_helps() -> list[str]:
    """The rows of the table: each text once, with its codes; those of logins and rejections have their own."""
    by_text: dict[str, list[str]] = {}
    for code in sorted({*fault_codes(), *FIXES} - LOGIN_CODES - {*OF_A_REJECTION}):
        by_text.setdefault(FIXES.get(code, OTHER), []).append(f"`{code}`")
    return [f"| {', '.join(codes)} | {text} |" for text, codes in by_text.items()]


def test_every_drill_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)

    assert len(named) > 8
    assert [name for path, name in named if f"def {name}(" not in (ROOT / path).read_text()] == []


def test_only_commands_that_exist_are_recommended() -> None:
    known = {name for section in COMMANDS.values() for name in section}

    assert set(re.findall(r"sfmc-import ([a-z-]+)", TEXT)) <= known

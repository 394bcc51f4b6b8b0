"""The runbook knows every end of a request and every warning and error that our processes can log."""

import re
from pathlib import Path

from sfmc_import.cli.main import COMMANDS
from sfmc_import.states import NOT_STARTED, TERMINAL

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "ops/docs/runbook.md").read_text(encoding="utf-8")
LOUD = re.compile(r'\.(?:warning|error|exception|critical)\(\s*"([a-z_]+)"')
CHOSEN = re.compile(r'"([a-z_]+)": "(?:warning|error)"')
FAILURES = re.compile(r'_guarded\(\s*"([a-z_]+)"')


def logged() -> set[str]:
    """The names of the events of all warnings and errors, as the source tells them."""
    sources = [path.read_text() for room in ("worker", "producers") for path in (ROOT / room).rglob("*.py")]
    return {name for text in sources for kind in (LOUD, CHOSEN, FAILURES) for name in kind.findall(text)}


def test_every_end_of_a_request_is_explained() -> None:
    assert [state for state in (*TERMINAL, NOT_STARTED) if f"| `{state}`" not in TEXT] == []


def test_every_warning_and_error_is_explained() -> None:
    assert len(logged()) > 30
    assert [name for name in sorted(logged()) if f"`{name}`" not in TEXT] == []


def test_only_commands_that_exist_are_recommended() -> None:
    known = {name for section in COMMANDS.values() for name in section}

    assert set(re.findall(r"sfmc-import ([a-z-]+)", TEXT)) <= known

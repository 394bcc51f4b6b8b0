"""The page of guarantees is true: every test that it names exists."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "ops" / "docs" / "guarantees.md"


def test_every_proof_that_the_page_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE.read_text())

    missing = [f"{path}::{name}" for path, name in named if not exists(path, name)]

    assert len(named) > 20
    assert missing == []


def exists(path: str, name: str) -> bool:
    file = ROOT / path
    return file.is_file() and f"def {name}(" in file.read_text() if name else file.is_file()

"""The page that describes imports names every property the engine reads, and tests that exist."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
PAGE = (ROOT / "ops/sandbox/docs/sandbox-imports.md").read_text()
READ = re.compile(r"(?:_text|_flag|_count|_choice|_items|_reference|wire\.get)\((?:wire, )?\"([A-Z]\w+)\"")


def test_every_test_the_page_names_is_there():
    sources = [
        path.read_text()
        for folder in ("unit/sfmc_sandbox", "integration")
        for path in (ROOT / "tests" / folder).rglob("*.py")
    ]
    there = set(re.findall(r"^def (test_\w+)", "\n".join(sources), re.MULTILINE))
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 50
    assert named - there == set()


def test_every_property_the_engine_reads_stands_in_the_page():
    read = set(READ.findall((ROOT / "ops/sandbox/sfmc_sandbox/importing/definition.py").read_text()))
    assert len(read) > 24
    assert {name for name in read if name not in PAGE} == set()

"""Every type of problem that the API answers with stands on its page."""

import re
from pathlib import Path

from sfmc_import.operations.errors import OperationError

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "ops" / "docs" / "http-api.md").read_text()
API = (ROOT / "ops" / "server" / "sfmc_server" / "api.py").read_text()


def test_every_type_of_problem_is_on_the_page_and_no_other() -> None:
    table = PAGE.partition("## Problems")[2].partition("\n## ")[0]
    named = set(re.findall(r'(?:named|_typed)\("(\w+)"', API))
    raised = {
        each.kind for each in OperationError.__subclasses__() if each.__module__ == "sfmc_import.operations.errors"
    }

    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == named | raised

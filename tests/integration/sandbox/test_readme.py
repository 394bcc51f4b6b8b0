"""The README of the sandbox: what it shows can be copied and run."""

import json
import re
import subprocess
import sys
from pathlib import Path

import click

from sfmc_sandbox.cli import sandbox as command
from tests.support.sandbox_server import SandboxProcess

ROOT = Path(__file__).parents[3]
README = (ROOT / "ops" / "sandbox" / "README.md").read_text()
ADDRESS = "127.0.0.1:8943"


def json_after(words: str) -> dict[str, object]:
    """The JSON that a curl command of the README sends."""
    found: dict[str, object] = json.loads(README.split(words, 1)[1].split("-d '", 1)[1].split("'", 1)[0])
    return found


def test_the_python_example_starts_an_import(tmp_path: Path) -> None:
    program = README.split("```python\n")[1].split("```")[0]
    with SandboxProcess(data=tmp_path) as sandbox:
        sandbox.drop("people.csv", "key\nann\nbob\n")
        definition = json_after("/_sandbox/definitions")
        sandbox.control.define(str(definition.pop("CustomerKey")), **definition)

        lines = [sys.executable, "-c", program.replace(ADDRESS, sandbox.url.removeprefix("http://"))]
        done = subprocess.run(lines, capture_output=True, text=True, check=False, timeout=100)

        assert (done.stdout, done.stderr) == ("OK 100001\n", "")
        assert [start["customer_key"] for start in sandbox.control.performs()] == ["daily"]


def test_the_fault_of_the_readme_can_be_injected() -> None:
    with SandboxProcess() as sandbox:
        fault = {name: str(value) for name, value in json_after("Apply the next three starts").items()}

        rule = sandbox.control.add_fault(fault["fault"], fault["operation"], fault["customer_key"], count=3)

        assert (rule["fault"], rule["count"]) == ("drop_after_applying", 3)


def test_every_option_of_the_readme_exists() -> None:
    known = {name for option in command.params if isinstance(option, click.Option) for name in option.opts}

    assert set(re.findall(r"(--[a-z][a-z-]*)", README.split("## Options")[1])) - known == {"--help"}


def test_every_linked_page_exists() -> None:
    pages = re.findall(r"\]\(([^):]+)\)", README)

    assert pages
    assert [page for page in pages if not (ROOT / "ops" / "sandbox" / page).is_file()] == []

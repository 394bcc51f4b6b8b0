"""Starts fresh interpreters for the checks, two at a time."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHILD = Path(__file__).with_name("child.py")
LEFT_OUT = ("SFMC_", "COVERAGE_", "COV_", "PYTHON")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a child printed: changed rows by step, the modules it had loaded, and its error if it ended by one."""

    steps: dict[str, dict[str, list[str]]]
    modules: list[str]
    shared_task: str | None
    error: str


def run(*steps: tuple[str, str], cache: Path, host: bool = False, **environment: str) -> Answer:
    """Take steps (name, statements) in a fresh interpreter.

    `cache` keeps compiled modules for the next child: without it each would compile all that it loads. The child has
    no variable of coverage, which would load its own modules and hooks.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(LEFT_OUT)}
    order = json.dumps({"host": host, "steps": steps})
    ended = subprocess.run(
        [sys.executable, str(CHILD), order],
        env={**kept, "PYTHONPYCACHEPREFIX": str(cache), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1]) if ended.returncode == 0 else {}
    return Answer(
        steps=found.get("steps", {}),
        modules=found.get("modules", []),
        shared_task=found.get("shared task"),
        error="" if ended.returncode == 0 else ended.stderr,
    )


def import_alone(modules: Iterable[str], *, cache: Path) -> dict[str, Answer]:
    """Import each module in an interpreter of its own."""
    with ThreadPoolExecutor(2) as pool:
        tasks = {name: pool.submit(run, ("import", f"import {name}"), cache=cache) for name in modules}
        return {name: task.result() for name, task in tasks.items()}

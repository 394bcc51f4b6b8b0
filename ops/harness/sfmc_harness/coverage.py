"""Measures branch coverage and compares it with its limits: `python -m sfmc_harness.coverage [FOLDER]`.

Without FOLDER all tests are run. With FOLDER the data files in it are combined, as the CI does for its matrix.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
RULES = ("states", "faults", "retrying", "routing", "runs", "policy", "request", "checking", "outlook")
PURE = (
    *(f"worker/sfmc_import/{name}.py" for name in RULES),
    "producers/sfmc_producers/stability.py",
    "producers/sfmc_producers/mounts.py",
)
"""The modules of pure decisions: every line and every branch of them is tested."""

FLOOR = 95.5
"""Percent of lines and branches of all code together. Raise it when the figure has risen; never lower it."""

MAX_TEST_PROCESSES = 4


def problems(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield what misses its limit, from the JSON report of coverage."""
    for path in PURE:
        summary = report["files"].get(path, {}).get("summary", {"percent_covered": 0.0})
        if summary["percent_covered"] < 100:
            yield f"{path}: {summary['percent_covered']:.1f} %, 100 % are needed"
    total = report["totals"]["percent_covered"]
    if total < FLOOR:
        yield f"all code: {total:.1f} %, {FLOOR:g} % are needed"


def run(*command: str) -> int:
    """Run `coverage COMMAND …` in the root of the repository; return its exit code."""
    return subprocess.call([sys.executable, "-m", "coverage", *command], cwd=ROOT)


def measured() -> int:
    """Run all tests under coverage, in several processes; return their exit code."""
    processes = str(min(os.cpu_count() or 1, MAX_TEST_PROCESSES))
    run("erase")
    return run("run", "--parallel-mode", "-m", "pytest", "-n", processes)


def report() -> Mapping[str, Any]:
    """Print the table of what is not covered and return the same as data."""
    run("report")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "coverage.json"
        run("json", "--quiet", "-o", str(file))
        document: Mapping[str, Any] = json.loads(file.read_text("utf-8"))
        return document


def main(arguments: list[str]) -> int:
    """Measure, or combine what lies in the folder, and print each limit that is missed; 1 when there is one."""
    tested = 0 if arguments else measured()
    if run("combine", "--quiet", *arguments):
        return 1
    missed = list(problems(report()))
    print("\n".join(missed) or f"coverage: every limit is kept (floor {FLOOR:g} %)")
    return tested or bool(missed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

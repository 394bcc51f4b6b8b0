"""Writes the generated pages of ops/docs: `python -m sfmc_harness.pages`; with --check it only compares."""

import sys
from pathlib import Path

from sfmc_import.states import NEW, RUN_ENDS, TERMINAL, TRANSITIONS, Transition

DOCS = Path(__file__).parents[2] / "docs"

INTRODUCTION = """# The life of a request

This page is written by `python -m sfmc_harness.pages` from `worker/sfmc_import/states.py`. The Lua scripts of the
ledger read the same table: a step that does not stand here cannot be taken, and each step writes its event in the
same script that changes the state.
"""

ENDINGS = """## What ends, and what follows an end

A request has ended in {terminal}. Two things may follow an end, and both have an event:

- A Task.ID that comes late is the truth: `start_unknown` and `gave_up` become `started`, and the run is followed.
- An operator may follow a run again after `follow_timed_out` (`sfmc-import follow TASK_ID`).

Every other request has exactly one event of an end, its last one.
"""


def render() -> str:
    """Give the whole page as Markdown."""
    ends = ", ".join(f"`{state}`" for state in TERMINAL)
    return "\n".join((INTRODUCTION, _picture(), _table(), ENDINGS.format(terminal=ends)))


def _picture() -> str:
    lines = [_arrow(step) for step in TRANSITIONS if step.target not in RUN_ENDS]
    lines += [f"    started --> {end}" for end in RUN_ENDS]
    return "\n".join(("```mermaid", "stateDiagram-v2", *dict.fromkeys(lines), "```", ""))


def _arrow(step: Transition) -> str:
    source = "[*]" if step.source == NEW else step.source
    name = "" if step.event == step.target else f" : {step.event}"
    return f"    {source} --> {step.target}{name}"


def _table() -> str:
    rows = [f"| {step.source} | {step.target} | `sfmc.import.{step.event}` | {step.why} |" for step in TRANSITIONS]
    return "\n".join(("## Every step", "", "| from | to | event | why |", "|---|---|---|---|", *rows, ""))


PAGES = {DOCS / "states.md": render}
"""Each generated page and the function that writes its text."""


def outdated() -> list[str]:
    """Return the names of the pages that differ from what they are made from."""
    return [page.name for page, text in PAGES.items() if page.read_text(encoding="utf-8") != text()]


def main() -> None:
    """Write all pages, or with --check end with exit code 1 when one is out of date."""
    if "--check" in sys.argv[1:]:
        sys.exit(", ".join(f"{name} is out of date" for name in outdated()))
    for page, text in PAGES.items():
        page.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()

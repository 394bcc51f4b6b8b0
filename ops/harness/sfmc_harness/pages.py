"""python -m sfmc_harness.pages: writes the pages of ops/docs that are made from code; with --check it compares them."""

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from sfmc_harness import command_schemas, retrying_page
from sfmc_import.ledger.key_kinds import ANY, Field, Key
from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.ledger_settings import LedgerSettings
from sfmc_import.ledger.schema import KEYS, REQUEST
from sfmc_import.states import NEW, REPORTS, RUN_ENDS, TERMINAL, TRANSITIONS, Transition
from sfmc_import.waiting import OPEN_ENDED, REASONS

DOCS = Path(__file__).parents[2] / "docs"

STATES = """# The life of a request

This page is written by `python -m sfmc_harness.pages` from `worker/sfmc_import/states.py`. The Lua scripts of the
ledger read the same table: a step that does not stand here cannot be taken, and each step writes its event in the
same script that changes the state.
"""

ENDINGS = """## What ends, and what follows an end

A request has ended in {terminal}. Four things may follow an end, and each has an event:

- A Task.ID that comes late is accepted: `start_unknown` and `gave_up` become `started`, and the run is followed.
- An operator may record after `start_unknown` that nothing was started (`not_started`). A Task.ID that comes later
  makes it `started`.
- A `duplicate` whose event says `final: false` repeats a request that has not started. If that one ends without a
  start, its newest duplicate is taken up: it is `accepted` again (`instead_of` names the other) and decided anew. The
  next one is taken up if this one comes to nothing too ([ADR 13](adr/0013-duplicates-are-taken-up.md)).
- An operator may follow a run again after `follow_timed_out` (`sfmc-import follow TASK_ID`).

A replay stands for the failure that it repeats: that is not in the list of failures meanwhile. If the replay ends as
`duplicate` or `cancelled`, or nothing was started of it (`not_started`), the failure is listed again. Who cancels a
replay takes the replay back, and has not dealt with the failure; `sfmc-import settle` says that.

Every other request has exactly one event of an end; after it only `settled` may come.

## Events without a step

These events report that a request which ended badly is settled by a newer import or an operator, a file or a message
that became no request, what an operator did, or what was used of a budget of calls: {reports}. `message_rejected`
may name a request that was accepted (reason `id_taken`): another message had its id. That request continues, and this
event is no end of it. A message that is no request names no request that was accepted: its id stands in `message_id`.
"""

LEDGER = """# The keys of the ledger

This page is written by `python -m sfmc_harness.pages` from `worker/sfmc_import/ledger/schema.py`. The key names in the
Lua scripts and the readers in Python are made from the same description.

Every key but the stream begins with the tag `{tag}`; why is in
[ADR 1](adr/0001-one-slot-and-a-plain-stream-name.md). With the part `event_id` the length of the CustomerKey in bytes
comes first. The times are the defaults of `LedgerSettings`.

In the tables of fields, `name` is what is stored and `attribute` what Python calls it. `ms` is a time in milliseconds
since 1970. When a request ends, the fields that are not kept are removed.
"""


def render_states() -> str:
    """Give the page about the states as Markdown."""
    ends = ", ".join(f"`{state}`" for state in TERMINAL)
    return "\n".join(
        (
            STATES,
            _picture(),
            _transitions(),
            ENDINGS.format(terminal=ends, reports=", ".join(f"`sfmc.import.{name}`" for name in REPORTS)),
        )
    )


def _picture() -> str:
    lines = [_arrow(step) for step in TRANSITIONS if step.target not in RUN_ENDS]
    lines += [f"    started --> {end}" for end in RUN_ENDS]
    return "\n".join(("```mermaid", "stateDiagram-v2", *dict.fromkeys(lines), "```", ""))


def _arrow(step: Transition) -> str:
    source = "[*]" if step.source == NEW else step.source
    name = "" if step.event == step.target else f" : {step.event}"
    return f"    {source} --> {step.target}{name}"


def _transitions() -> str:
    rows = ((step.source, step.target, f"`sfmc.import.{step.event}`", step.why) for step in TRANSITIONS)
    return "\n".join(("## Every step", "", _table(("from", "to", "event", "why"), rows)))


def render_ledger() -> str:
    """Give the page about the keys of the ledger as Markdown."""
    rows = ((f"`{_pattern(key)}`", key.redis_type, _life(key), key.meaning) for key in KEYS)
    parts = [LEDGER.format(tag=Keys().tag), _table(("key", "type", "lives", "meaning"), rows)]
    return "\n".join(parts + [_fields(key) for key in KEYS if key.fields])


def _pattern(key: Key) -> str:
    if not key.letter:
        return Keys().stream
    length = ["<length of customer_key>"] if "event_id" in key.parts else []
    return ":".join([key.letter, *length, *(f"<{part}>" for part in key.parts)])


def _life(key: Key) -> str:
    return ", ".join(f"{_duration(getattr(LedgerSettings(), name))} (`{name}`)" for name in key.ttl) or "bounded"


def _duration(seconds: float) -> str:
    sizes = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
    size, unit = next((size, unit) for size, unit in sizes if seconds >= size)
    return f"{seconds / size:g} {unit}"


def _fields(key: Key) -> str:
    titles = ("name", "kind", "attribute", *(("kept at the end",) if key is REQUEST else ()), "meaning")
    rows = (_field(field, ends=key is REQUEST) for field in key.fields)
    return "\n".join((f"## Fields of `{_pattern(key)}`", "", _table(titles, rows)))


def _field(field: Field, *, ends: bool) -> Iterable[str]:
    name, attribute = (f"`{field.name}`", field.attribute or field.name) if field.name != ANY else ("any", "-")
    return name, field.kind, attribute, *((_kept(field),) if ends else ()), field.meaning


def _kept(field: Field) -> str:
    if isinstance(field.kept_at_end, tuple):
        return "only in " + ", ".join(f"`{state}`" for state in field.kept_at_end)
    return "yes" if field.kept_at_end else "no"


def _table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(titles)
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines).replace("| --- ", "|---").replace("--- |", "---|")


WAITING = """# Why a request waits

This page is written by `python -m sfmc_harness.pages` from `worker/sfmc_import/waiting.py`. The script that decides
about a request also writes why it waits, since when and behind which request; `sfmc-import show`, `sfmc-import status`
and the HTTP API read it from there. `until` is the next time at which it is decided anew; where no time ends the wait
there is none. Where a budget of calls is spent it is the end of its day or year. `asked_since` is since when a worker
asks Marketing Cloud for its definition or its run, without an answer yet. Of one that waits `after` a definition,
`awaited` says how that stands. Of one that is `paused`, `pause` says who paused it, why and until when; beside another
reason before a start `pause` says that it is paused as well, and waits for the end of both. A request whose
start is being sent, or that has ended, does not wait.
"""
WAITING_FILES = """
A file that is still being written (not stable), or that is being delivered to a target, has no request yet: a request
is made when its file is complete and lies where Marketing Cloud reads it. So no request waits with the reason
`not_stable` or `delivering`. `sfmc-import status` shows these files with the watcher or source that holds them, the
reason (`growing`, `open`, `no_marker`, `delivering` …) and since when.

At the top of `status`, the console and `/v1/status` stands with one of these reasons what holds requests of a business
unit, a line for each code: since when, which definitions, what to do; `doctor` says the same. There is one more:
`no_answer`, where Marketing Cloud has been asked for 30 seconds and nothing has failed yet.
"""


def render_waiting() -> str:
    """Give the page about the reasons of a wait as Markdown."""
    ends = dict.fromkeys(OPEN_ENDED, "no") | {"paused": "if the pause ends by itself"}
    rows = ((f"`{name}`", text, ends.get(name, "yes")) for name, text in REASONS.items())
    return "\n".join((WAITING, _table(("reason", "meaning", "has `until`"), rows))) + WAITING_FILES


PAGES: Mapping[Path, Callable[[], str]] = {
    DOCS / "states.md": render_states,
    DOCS / "ledger.md": render_ledger,
    DOCS / "retrying.md": retrying_page.render,
    DOCS / "waiting.md": render_waiting,
    DOCS.parent / "commands.schema.json": command_schemas.render,
}


def outdated() -> list[str]:
    """Give the names of the pages that are older than their source."""
    return [page.name for page, render in PAGES.items() if not _is_current(page, render())]


def _is_current(page: Path, text: str) -> bool:
    return page.is_file() and page.read_text(encoding="utf-8") == text


def main(arguments: list[str]) -> int:
    """Write all pages; with --check write none, exit code 1 if one is older than its source."""
    if "--check" in arguments:
        for name in outdated():
            print(f"ops/docs/{name} is older than its source; write it anew: python -m sfmc_harness.pages")
        return 1 if outdated() else 0
    for page, render in PAGES.items():
        page.write_text(render(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Turns pages into HTML: everything from outside is escaped, and shown as one line without hidden characters."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sfmc_import.advice import Command
from sfmc_import.display import json_escaped, one_line
from sfmc_import.operations import broker, loss_lines, outdated, servers
from sfmc_import.operations.business_units import are_several
from sfmc_import.operations.folders import readers, sentence, title, tried_again
from sfmc_import.redaction import hidden, hidden_in
from sfmc_import.waiting import REASONS
from sfmc_server.console import plots
from sfmc_server.console.paths import request_path

STATIC = {
    name: (files("sfmc_server.console") / "static" / name).read_bytes()
    for name in ("console.css", "console.js", "icon.svg")
}
VERSION = sha256(b"".join(STATIC.values())).hexdigest()[:12]
"""In the address of static files: a browser keeps them until they change."""

MAX_SHOWN = 20_000
"""Characters of a long text, such as a message, that a page shows."""

TONES = {
    **dict.fromkeys(("completed",), "good"),
    **dict.fromkeys(("completed_with_errors", "completed_empty", "expired", "follow_timed_out"), "warn"),
    **dict.fromkeys(
        ("rejected", "gave_up", "start_unknown", "completed_suspicious", "import_failed", "message_rejected"), "bad"
    ),
    **dict.fromkeys(("started", "starting", "progressed"), "run"),
    **dict.fromkeys(("accepted", "deferred", "retrying", "reconciling"), "wait"),
}
"""How a state looks; its word is always there too."""


class Plain(str):
    """A text of several lines that is safe to show but for HTML, which the template escapes."""

    __slots__ = ()


def shown(value: Any) -> Any:
    """Write what a template shows: text without hidden characters and secrets, nothing for None."""
    if isinstance(value, (Markup, Plain)):
        return value
    return "" if value is None else one_line(hidden(str(value)))


def pretty(value: Any) -> Plain:
    """Write a value as JSON of several lines, cut where it is too long."""
    text = json_escaped(json.dumps(hidden_in(value), indent=2, ensure_ascii=False, default=str))
    return Plain(text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}\n… {len(text) - MAX_SHOWN} more characters")


def age(seconds: float) -> str:
    """Write a duration shortly, such as `3 min 20 s`."""
    whole = max(0, round(seconds))
    if whole < 1:
        return f"{max(0, round(seconds * 1000))} ms"
    for size, word, smaller, small_word in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {word}" + (f" {rest} {small_word}" if rest else "")
    return f"{whole} s"


def moment(at: datetime | None) -> Markup | str:
    """Write a time in UTC for people and programs; a dash without one."""
    if at is None:
        return "-"
    utc = at.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(utc.isoformat(), f"{utc:%Y-%m-%d %H:%M:%S} UTC")


def ago(at: datetime | None, now: datetime) -> Markup | str:
    """Write how long ago a time was, or in how long it will be; the time itself is its title."""
    if at is None:
        return "-"
    seconds = (at - now).total_seconds()
    text = f"in {age(seconds)}" if seconds > 0 else f"{age(-seconds)} ago"
    utc = at.astimezone(UTC)
    title = f"{utc:%Y-%m-%d %H:%M:%S} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(utc.isoformat(), title, text)


def until(at: datetime | None, now: datetime) -> Markup | str:
    """Write in how long something is decided; what is due is decided at any moment."""
    return "now" if at is not None and at <= now else ago(at, now)


_SENTENCES = {
    "sentence": sentence,
    "old_sentence": outdated.sentence,
    "tried_again": tried_again,
    "are_several": are_several,
    "broker_sentence": broker.sentence,
    "server_sentence": servers.sentence,
    "loss_line": loss_lines.line,
}
"""What operations say in words, and of which rows they say more."""


def _made() -> Environment:
    made = Environment(
        loader=PackageLoader("sfmc_server.console"),
        autoescape=True,
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(pretty=pretty, age=age, moment=moment, ago=ago, until=until, query=urlencode)
    made.globals.update(
        version=VERSION,
        reasons=REASONS,
        **_SENTENCES,
        tone=lambda state: TONES.get(state, "calm"),
        bars=plots.bars,
        columns=plots.columns,
        curves=plots.curves,
        strip=plots.strip,
        request_path=request_path,
        readers=readers,
        folder_title=title,
        command=lambda *words: Command(words),
    )
    return made


_ENVIRONMENT = _made()


def render(template: str, values: Mapping[str, Any]) -> str:
    """Give the HTML of a page."""
    return _ENVIRONMENT.get_template(template).render(values)

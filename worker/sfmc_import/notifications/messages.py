"""What is said about events: a title and lines for people, a CloudEvent for programs; pure."""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sfmc_import.display import one_line
from sfmc_import.events.stream import facts, next_step
from sfmc_import.events.typed import ImportEvent
from sfmc_import.notifications.outages import Outage
from sfmc_import.redaction import hidden

MAX_LINE = 500
MAX_STEP = 2 * MAX_LINE
"""Of what a person can do next, with its command."""

MAX_TITLE = 150
MAX_KINDS = 5
_PLAIN_ID = re.compile(r"[A-Za-z0-9_:@/+=-]{1,200}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message: the same `id` is the same message, however often it is sent. `at` is seconds since 1970."""

    id: str
    title: str
    lines: tuple[str, ...]
    cloud_event: Mapping[str, Any]
    at: float


def of_events(events: Sequence[ImportEvent], most: int) -> Message:
    """Tell of one event, or of many together, of which `most` are shown."""
    if len(events) == 1:
        return _of_one(events[0])
    shown, more = events[:most], len(events) - most
    counts = Counter(each.name for each in events).most_common()
    kinds = ", ".join(f"{count} {name}" for name, count in counts[:MAX_KINDS])
    lines = [_line(each) for each in shown] + ([f"and {more} more"] if more > 0 else [])
    identity = _digest(*(each.id for each in events))
    body = {"count": len(events), "more": max(0, more), "kinds": dict(counts)}
    body["events"] = [each.cloud_event for each in shown]
    return Message(
        id=identity,
        title=_title(f"{len(events)} events: {kinds}{' …' if len(counts) > MAX_KINDS else ''}"),
        lines=tuple(lines),
        cloud_event=_own_event(identity, "digest", events[-1].time, body),
        at=events[-1].time.timestamp(),
    )


def _of_one(event: ImportEvent) -> Message:
    file = event.file.name if event.file else ""
    return Message(
        id=plain_id(event.id),
        title=_title(f"{event.name} {event.customer_key}{f' ({file})' if file else ''}"),
        lines=(_line(event),),
        cloud_event=event.cloud_event,
        at=event.time.timestamp(),
    )


def of_outage(outage: Outage, at: datetime, *, is_over: bool) -> Message:
    """Tell that nothing works in a business unit, or that it works again."""
    where = f"Marketing Cloud, business unit {outage.mid}"
    if is_over:
        title, kind = f"{where}: works again", "outage_over"
        line = f"It had failed since {outage.since} (code {outage.code}): {outage.attempts} attempts failed."
    else:
        title, kind = f"{where}: does not work", "outage"
        line = (
            f"Since {outage.since}, code {outage.code}: {outage.text}. Requests wait, and are started when it works"
            f" again. Until then nothing more is said about it."
        )
    identity = _digest(outage.id, kind)
    body = {"mid": outage.mid, "code": outage.code, "text": outage.text, "since": outage.since}
    return Message(
        id=identity,
        title=_title(title),
        lines=(_safe(line),),
        cloud_event=_own_event(identity, kind, at, body | {"attempts": outage.attempts}),
        at=at.timestamp(),
    )


def of_redis(since: datetime, now: datetime, text: str, *, is_over: bool) -> Message:
    """Tell that Redis cannot be reached, or that it can again."""
    begun = since.strftime("%Y-%m-%dT%H:%M:%SZ")
    title = "Redis: answers again" if is_over else "Redis: does not answer"
    rest = "Nothing is started and nothing is accepted until it answers." if not is_over else ""
    kind = "redis_outage_over" if is_over else "redis_outage"
    identity = _digest("redis", begun, kind)
    return Message(
        id=identity,
        title=_title(title),
        lines=(_safe(f"Since {begun}: {text}. {rest}"),),
        cloud_event=_own_event(identity, kind, now, {"since": begun, "text": _safe(text)}),
        at=now.timestamp(),
    )


def of_test(name: str, identity: str, now: datetime) -> Message:
    """Say that a notification works."""
    line = f"This is a test of the notification {name}. Nothing has happened."
    return Message(
        id=f"test/{identity}",
        title=_title(f"test of {name}"),
        lines=(line,),
        cloud_event=_own_event(f"test/{identity}", "test", now, {"name": name}),
        at=now.timestamp(),
    )


def plain_id(identity: str) -> str:
    """Give an id as a header of Standard Webhooks takes it: without a full stop, of which its signature makes use."""
    return identity if _PLAIN_ID.fullmatch(identity) else _digest(identity)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]


def _own_event(identity: str, kind: str, at: datetime, data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": identity,
        "source": "/sfmc-import/notify",
        "type": f"sfmc.import.notification.{kind}",
        "time": at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": dict(data),
    }


def _line(event: ImportEvent) -> str:
    file = [event.file.name] if event.file else []
    parts = [
        f"{event.time:%Y-%m-%d %H:%M:%S} UTC",
        event.name,
        event.customer_key,
        *file,
        *facts(event.data),
    ]
    # A command that is cut would do something else, or nothing: the facts before it are cut, or it is left out.
    step = "".join(f"  {one_line(hidden(each))}" for each in next_step(event.cloud_event))
    if len(step) > MAX_STEP:
        step = f"  request {one_line(event.request_id or '')}"
    return _safe("  ".join(parts), max(MAX_LINE - len(step), MAX_LINE // 2)) + step


def _safe(text: str, most: int = MAX_LINE) -> str:
    """Give one line without secrets and without characters that steer a terminal or turn the reading direction."""
    line = one_line(hidden(text))
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _title(text: str) -> str:
    return f"sfmc-import: {one_line(hidden(text))}"[:MAX_TITLE]

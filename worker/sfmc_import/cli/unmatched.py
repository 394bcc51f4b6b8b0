"""What `status --unmatched` shows: files that start nothing, because no definition or several definitions match."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sfmc_import.cli.output import Line
from sfmc_import.events import Event, kind

LOOKED_AT = 50_000
"""Among how many of the newest events they are looked for."""

UNMATCHED = frozenset({"unrouted", "ambiguous_route"})


@dataclass(frozen=True, slots=True)
class UnmatchedFile:
    """A file that starts nothing: since when, and why."""

    name: str
    location: str
    fingerprint: str
    since: str
    reason: str
    text: str
    customer_keys: tuple[str, ...]
    mid: str


def unmatched_files(newest_first: Iterable[Event]) -> list[UnmatchedFile]:
    """Give each file once, newest first; one that became a request later, when a rule was corrected, is left out."""
    settled: set[str] = set()
    found = []
    for event in newest_first:
        file = event["data"].get("file")
        fingerprint = file.get("fingerprint") if isinstance(file, Mapping) else None
        if not isinstance(fingerprint, str) or fingerprint in settled:
            continue
        if kind(event) in UNMATCHED:
            found.append(_read(event, fingerprint))
        if kind(event) in UNMATCHED or kind(event) == "accepted":
            settled.add(fingerprint)
    return found


def _read(event: Event, fingerprint: str) -> UnmatchedFile:
    data = event["data"]
    return UnmatchedFile(
        name=str(data["file"].get("name", "")),
        location=str(data["file"].get("location", "")),
        fingerprint=fingerprint,
        since=str(event.get("time", "")),
        reason=str(data.get("reason") or kind(event)),
        text=str(data.get("text", "")),
        customer_keys=tuple(map(str, data.get("customer_keys") or ())),
        mid=str(data.get("mid", "")),
    )


def describe_unmatched(found: Sequence[UnmatchedFile], count: int) -> tuple[Mapping[str, Any], Sequence[Line]]:
    """Give the number of all and the newest `count`, for programs and as lines."""
    shown = found[:count]
    lines: list[Line] = [f"{len(found)} files without a definition, among the last {LOOKED_AT} events"]
    lines += [_line(each) for each in shown]
    if len(found) > len(shown):
        lines.append(f"  and {len(found) - len(shown)} more: --last {len(found)}")
    if found:
        lines.append("  why: sfmc-import explain FILE; then add a [[route]], or correct FileSpec")
    return {"count": len(found), "unmatched": [asdict(each) for each in shown]}, lines


def _line(file: UnmatchedFile) -> str:
    place = f"{file.location}/{file.name}" if file.location else file.name
    keys = f" ({', '.join(file.customer_keys)})" if file.customer_keys else ""
    return f"  {file.since[:19].replace('T', ' ')} UTC  {place}  {file.text}{keys}"

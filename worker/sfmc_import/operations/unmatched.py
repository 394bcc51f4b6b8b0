"""Files that start nothing, because no definition or several definitions match."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

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

"""Notices what hits a whole account in its events, so that one message is sent about it and not hundreds; pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Literal

import orjson

from sfmc_import.events.typed import ImportEvent
from sfmc_import.faults import ACCOUNT_WIDE
from sfmc_import.states import COMPLETED

ANSWERED = frozenset({"started", "progressed", "import_failed", *COMPLETED})
"""Events that show that Marketing Cloud works again, where Marketing Cloud and no operator was their reason."""

FAILED = frozenset({"retrying", "reconciling"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """Nothing works in a business unit: since when, why, and how many attempts have failed. `id` is its first event."""

    mid: str
    id: str
    since: str
    code: str
    text: str
    attempts: int = 1

    def as_text(self) -> str:
        """Write it for Redis."""
        return orjson.dumps(asdict(self)).decode()


def read_outages(stored: Mapping[bytes, bytes]) -> dict[str, Outage]:
    """Read what was written; what cannot be read is left out."""
    found = {}
    for mid, text in stored.items():
        try:
            found[mid.decode()] = Outage(**orjson.loads(text))
        except (TypeError, ValueError):
            continue
    return found


@dataclass(frozen=True, slots=True)
class Turn:
    """What an event says of the outages: one begins, goes on, or is over."""

    kind: Literal["began", "goes_on", "over"]
    outage: Outage


def turn_of(event: ImportEvent, known: Mapping[str, Outage]) -> Turn | None:
    """Judge one event; None when it says nothing about an outage."""
    outage, code = known.get(event.mid), str(event.data.get("code") or "")
    if event.name in FAILED and code in ACCOUNT_WIDE:
        if outage is not None:
            return Turn("goes_on", replace(outage, attempts=outage.attempts + 1))
        text = str(event.data.get("text") or "")[:500]
        since = event.time.strftime("%Y-%m-%dT%H:%M:%SZ")
        return Turn("began", Outage(mid=event.mid, id=event.id, since=since, code=code, text=text))
    return Turn("over", outage) if outage is not None and _is_answer(event) else None


def _is_answer(event: ImportEvent) -> bool:
    is_by_operator = event.data.get("matched") == "operator" or event.data.get("resumed")
    return event.name in ANSWERED and not is_by_operator

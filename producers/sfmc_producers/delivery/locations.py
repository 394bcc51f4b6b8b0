"""Finds the target of a route that delivers to the file location from which its definition reads."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.faults import NotApplied
from sfmc_import.ports import Refusal
from sfmc_import.request import fold_key
from sfmc_import.routing import Deliver, Route, Routed
from sfmc_import.runs import ENHANCED_FTP, FileLocation
from sfmc_producers.delivery.deliveries import Target

OF_DEFINITION = ("sftp", "s3")
"""What a route says for the target of this kind that is the file location of its definition."""


class Locations(Protocol):
    """Says from where definitions read."""

    def location(self, mid: str, customer_key: str, *, max_age: float) -> FileLocation | Refusal:
        """Give it from memory, if not older than `max_age` seconds, or ask Marketing Cloud."""
        ...


def is_location(deliver: Deliver | None) -> bool:
    """Tell whether a route delivers to the file location of its definition."""
    return deliver is not None and deliver.target in OF_DEFINITION


def located(
    routed: Routed, targets: Mapping[str, Target], default_mid: str, locations: Locations, max_age: float
) -> Routed | str:
    """Put the name of a target in the place of "sftp" or "s3", or say why there is none; the location may be so old.

    Raises ServiceUnavailableError where Marketing Cloud does not say the location now.
    """
    deliver = routed.deliver
    assert deliver is not None
    found = locations.location(routed.mid, routed.customer_key, max_age=max_age)
    if isinstance(found, NotApplied):
        text = f"Cannot read from where definition {routed.customer_key} reads its file: {found.text} ({found.code})"
        raise ServiceUnavailableError(text)
    if not isinstance(found, FileLocation):
        return f"it is not known where definition {routed.customer_key} reads its file: {found.text} ({found.code})"
    for each in targets.values():
        is_there = each.kind == deliver.target and (each.options.mid or default_mid) == routed.mid
        if is_there and _is_named(found, each.options.location):
            return replace(routed, deliver=replace(deliver, target=each.name))
    name = found.customer_key or found.object_id
    return (
        f"definition {routed.customer_key} of business unit {routed.mid} reads its file from the location {name}, which"
        f' is no [[target]] of kind {deliver.target}: add location = "{name}" to the one that leads there'
    )


@dataclass(frozen=True, slots=True)
class Described:
    """What a [[target]] says of itself; `mid` is the business unit of its location."""

    name: str
    kind: str
    location: str | None
    mid: str | None


def problems_of(routes: Iterable[Route], targets: Iterable[Described], default_mid: str) -> list[str]:
    """Say which routes can deliver nowhere, and which targets are one location."""
    problems, known, places = [], {each.name: each for each in targets}, set()
    for each in known.values():
        place = (each.kind, each.mid or default_mid, fold_key(each.location or ""))
        if each.location and place in places:
            problems.append(f"[[target]] {each.name} location: given for two targets; keep one")
        places.add(place)
    for route in routes:
        where, kind = f"[[route]] {route.pattern} deliver:", route.deliver
        if kind in OF_DEFINITION and not any(each.kind == kind and each.location for each in known.values()):
            problems.append(
                f'{where} no [[target]] of kind {kind} says which file location it is: add location = "{ENHANCED_FTP}"'
                " (or what the location is called) to the one from which the definition reads"
            )
        elif kind is not None and kind not in OF_DEFINITION and kind not in known:
            problems.append(f"{where} there is no [[target]] {kind}; there are: {', '.join(known) or 'none'}")
    return problems


def _is_named(found: FileLocation, location: str | None) -> bool:
    names = {fold_key(each) for each in (found.customer_key, found.object_id) if each}
    return location is not None and fold_key(location) in names

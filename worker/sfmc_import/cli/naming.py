"""Names that people type: which definition or event type a mistyped one probably meant."""

import difflib
from collections.abc import Collection, Mapping
from typing import Any

import click

from sfmc_import.access import ReadAccess
from sfmc_import.states import REPORTS, TRANSITIONS

MOST_SUGGESTIONS = 3
WHAT_THERE_IS = "list what is unfinished with: sfmc-import status"
EVENT_TYPES = tuple(dict.fromkeys([*(step.event for step in TRANSITIONS), *REPORTS]))
"""The last words of the types of events."""


def suggestion(word: str, known: Collection[str]) -> str:
    """Say which of the known names are near to a mistyped one; empty if none is."""
    by_lower_case = {each.strip().lower(): each for each in sorted(known)}
    near = difflib.get_close_matches(word.strip().lower(), by_lower_case, n=MOST_SUGGESTIONS)
    return f"did you mean {' or '.join(by_lower_case[each] for each in near)}?" if near else ""


def check_types(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Read event types, with or without their common beginning; refuse one that does not exist."""
    types = tuple(value.removeprefix("sfmc.import.") for value in values)
    for word in types:
        if word not in EVENT_TYPES:
            advice = suggestion(word, EVENT_TYPES) or f"there are: {', '.join(EVENT_TYPES)}"
            raise click.BadParameter(f"there is no event type {word}; {advice}")
    return types


def check_known(access: ReadAccess, mid: str, key: str, record: Mapping[str, Any]) -> None:
    """Raise ClickException if neither ledger, events nor policy file have this definition: it is mistyped, or new."""
    named = {each for unit, each in access.settings.policies.definitions if (unit or access.settings.account_id) == mid}
    seen = access.reader.keys_in_events(mid)
    if record["known"] or key in named | seen:
        return
    advice = suggestion(key, named | seen) or WHAT_THERE_IS
    raise click.ClickException(f"the ledger does not know a definition {key} of business unit {mid}; {advice}")


def check_key(access: ReadAccess, key: str, newest: str) -> None:
    """Raise ClickException if neither a definition of the ledger nor one of the newest events has this CustomerKey."""
    is_known = access.reader.knows_key(access.mid(None), key)
    if is_known or any(access.stream.last(1, lambda event: event.get("subject") == key, newest)):
        return
    advice = suggestion(key, access.reader.keys_in_events()) or WHAT_THERE_IS
    raise click.ClickException(f"no event names a definition {key}; {advice}")

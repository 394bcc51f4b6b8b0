"""Names that people type: which definition or event type a mistyped one probably meant."""

import click

from sfmc_import.access import ReadAccess
from sfmc_import.operations.status import WHAT_THERE_IS
from sfmc_import.operations.suggesting import suggestion
from sfmc_import.states import REPORTS, TRANSITIONS

EVENT_TYPES = tuple(dict.fromkeys([*(step.event for step in TRANSITIONS), *REPORTS]))
"""The last words of the types of events."""


def check_types(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Read event types, with or without their common beginning; refuse one that does not exist."""
    types = tuple(value.removeprefix("sfmc.import.") for value in values)
    for word in types:
        if word not in EVENT_TYPES:
            advice = suggestion(word, EVENT_TYPES) or f"there are: {', '.join(EVENT_TYPES)}"
            raise click.BadParameter(f"there is no event type {word}; {advice}")
    return types


def check_key(access: ReadAccess, key: str, newest: str) -> None:
    """Raise ClickException if neither a definition of the ledger nor one of the newest events has this CustomerKey."""
    is_known = access.reader.knows_key(access.mid(None), key)
    if is_known or any(access.stream.last(1, lambda event: event.get("subject") == key, newest)):
        return
    advice = suggestion(key, access.reader.keys_in_events()) or WHAT_THERE_IS
    raise click.ClickException(f"no event names a definition {key}; {advice}")

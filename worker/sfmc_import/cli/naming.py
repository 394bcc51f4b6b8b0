"""Names that people type: which event type a mistyped one probably meant, and whether a definition is known."""

import click

from sfmc_import.cli.opening import given_mid
from sfmc_import.operations.errors import InvalidError, NotFoundError
from sfmc_import.operations.protocol import Operations
from sfmc_import.operations.suggesting import suggestion
from sfmc_import.operations.unknown import WHAT_THERE_IS
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


def check_key(operations: Operations, key: str) -> None:
    """Raise ClickException if neither the ledger nor one of the newest events has a definition of this CustomerKey."""
    if operations.newest_events(1, customer_key=key).items:
        return
    try:
        operations.standing(key, given_mid(None), 0)
    except NotFoundError as error:
        # Over the API the text has the advice.
        advice = error.fix or str(error)
    except InvalidError:
        advice = str(WHAT_THERE_IS)
    else:
        return
    raise click.ClickException(f"no event names a definition {key}; {advice}")

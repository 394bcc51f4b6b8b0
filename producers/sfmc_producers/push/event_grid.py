"""The form `event-grid`: events of Azure's blob storage, in the schema of Event Grid or as CloudEvents."""

from collections.abc import Sequence
from typing import Any

from sfmc_producers.push.posts import PLACE, Form, Place, Post, UnusablePostError, events_of, inside, json_of
from sfmc_producers.sources import blob_events
from sfmc_producers.sources.arrivals import Record

TYPES = ("Microsoft.Storage.", "Microsoft.EventGrid.")
VALIDATION = "Microsoft.EventGrid.SubscriptionValidationEvent"


def split(post: Post) -> Sequence[Any]:
    """Give the events of a POST: an array of them, or one."""
    return events_of(json_of(post.body))


def validation_code(events: Sequence[Any]) -> str | None:
    """Give the code that the answer to a handshake repeats; None for ordinary events."""
    if len(events) != 1 or inside(events[0], "eventType") != VALIDATION:
        return None
    code = inside(events[0], "data", "validationCode")
    if not isinstance(code, str) or not 0 < len(code) <= 512:
        raise UnusablePostError("data.validationCode is missing")
    return code


def read(event: Any, place: Place = PLACE) -> Record:
    """Read one event of either schema, as a queue would bring it."""
    return blob_events.read(event, blob_events.complete_in(hierarchical=place.hierarchical))


FORM = Form(split, read)

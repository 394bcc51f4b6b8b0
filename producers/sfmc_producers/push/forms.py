"""The forms by the name that the policy file gives them; `auto` tells those of one login apart."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sfmc_producers.push import binding, cloudevents, event_grid, pubsub, s3, sftpgo, sns
from sfmc_producers.push.posts import Form, NotReadableError, Place, Post, UnusablePostError, inside, json_of
from sfmc_producers.sources.arrivals import Record


def form_of(event: Any) -> Form | None:
    """Tell the form of an event by its fields; not that of SNS, which has a login of its own."""
    marks = {
        "specversion": cloudevents.FORM,
        "eventType": event_grid.FORM,
        "message": pubsub.FORM,
        "virtual_path": sftpgo.FORM,
        "Records": s3.FORM,
        "eventName": s3.FORM,
        "detail-type": s3.FORM,
        "Event": s3.FORM,
    }
    return next((form for name, form in marks.items() if inside(event, name) is not None), None)


def _split(post: Post) -> Sequence[Any]:
    if binding.is_cloudevent(post):
        return cloudevents.FORM.split(post)
    if pubsub.MESSAGE_ID in post.headers:
        return pubsub.FORM.split(post)
    value = json_of(post.body)
    form = form_of(value[0] if isinstance(value, list) and value else value)
    if form is None:
        raise UnusablePostError("its form is not known", 415)
    return form.split(post)


def _read(event: Any, place: Place) -> Record:
    form = form_of(event)
    if form is None:
        raise NotReadableError("its form is not known")
    return form.read(event, place)


FORMS: Mapping[str, Form] = MappingProxyType({
    "auto": Form(_split, _read),
    "cloudevents": cloudevents.FORM,
    "event-grid": event_grid.FORM,
    "pubsub": pubsub.FORM,
    "s3-webhook": s3.FORM,
    "sftpgo": sftpgo.FORM,
    "sns": sns.FORM,
})  # fmt: skip

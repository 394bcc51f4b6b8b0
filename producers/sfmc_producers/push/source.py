"""The producer of a push source with content: takes up what `serve` has kept, delivers it, and submits it."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import orjson

from sfmc_import.ledger.keys import Keys
from sfmc_import.redis_address import RedisAddress
from sfmc_producers.contents.opening import open_contents
from sfmc_producers.contents.source import ContentMailbox, ContentSource
from sfmc_producers.push.forms import FORMS
from sfmc_producers.push.inbox import GROUP
from sfmc_producers.push.posts import Form, Place, readable
from sfmc_producers.sources.arrivals import Record, Unreadable
from sfmc_producers.sources.receiving import Message
from sfmc_producers.sources.stream import StreamMailbox, StreamOptions, stream_receiver
from sfmc_producers.sources.tables import Parts


class InboxMailbox(StreamMailbox):
    """A mailbox whose entries are for one group alone: they are removed when they are handled."""

    removes = True

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Take them out of the pending list and out of the stream, in one transaction."""
        stream, group = self._group()
        ids = [message.id for message in messages]
        with self._errors(), self._redis.pipeline(transaction=True) as pipeline:
            pipeline.xack(stream, group, *ids)
            pipeline.xdel(stream, *ids)
            pipeline.execute()


def parse(form: Form, place: Place, body: bytes) -> Sequence[Record]:
    """Read one event as `serve` has read it."""
    try:
        return [readable(form, orjson.loads(body), place)]
    except orjson.JSONDecodeError as error:
        return [Unreadable(f"it is not JSON: {error}")]


def open_push(options: Any, parts: Parts) -> ContentSource:
    """Open the source; it connects on first use. Dead letters that are sent back go to `serve`."""
    contents = open_contents(options.content, parts)
    source = ContentSource(parts.name, contents, partial(parse, FORMS[options.form], options.place))
    address: RedisAddress = parts.settings.redis
    keys = Keys(parts.settings.prefix)
    lines = StreamOptions.model_validate(
        {
            "key": keys.inbox(parts.name),
            "group": GROUP,
            "claim_after": options.claim_after,
            "max_deliveries": options.max_deliveries,
        }
    )
    mailbox = ContentMailbox.opened_by(lambda: InboxMailbox(address, lines, keys), contents)
    return source.with_receiver(stream_receiver(lines, parts, source.records, mailbox, replays=False))

"""What is sent: SOAP envelopes, each shape made once by zeep and then filled in; it opens no connection.

zeep needs about 0.1 ms for an envelope, filling one in takes a few microseconds;
a test keeps both equal, element for element.
"""

import re
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from xml.sax.saxutils import escape

from lxml import etree

from worker.adapters.marketing_cloud.config import MarketingCloudConfig
from worker.adapters.marketing_cloud.headers import header_blocks, slot
from worker.adapters.marketing_cloud.queries import DEFINITION, Query

_SLOT = re.compile(r"--slot:([a-z_]+[0-9]*)--")
# What XML 1.0 cannot carry, not even escaped (XML 1.0, production 2).
_UNSENDABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class UnsendableError(ValueError):
    """A value has characters that no XML document can carry."""


class Scribe(Protocol):
    """Makes envelopes from the WSDL; see worker.adapters.marketing_cloud.service."""

    def perform(self, customer_key: str, headers: Sequence[etree._Element]) -> etree._Element:
        """Make the envelope that starts one ImportDefinition."""
        ...

    def retrieve(self, query: Query, headers: Sequence[etree._Element]) -> etree._Element:
        """Make the envelope of a query."""
        ...


class Template:
    """An envelope with slots."""

    __slots__ = ("_pieces",)

    def __init__(self, envelope: str) -> None:
        self._pieces = _SLOT.split(envelope)

    def fill(self, values: Mapping[str, str]) -> bytes:
        """Give the envelope with each slot replaced by its value, escaped; raise UnsendableError."""
        pieces = self._pieces.copy()
        pieces[1::2] = [_text(values[name]) for name in pieces[1::2]]
        return "".join(pieces).encode()


@dataclass(frozen=True, slots=True)
class Shape:
    """What the envelopes of one template have in common."""

    object_type: str
    filter_by: str | None
    values: int
    continues: bool

    def query(self) -> Query:
        """Give the query with slots for values."""
        return Query(
            object_type=self.object_type,
            filter_by=self.filter_by,
            values=tuple(slot(f"value{number}") for number in range(self.values)),
            continues=slot("continues") if self.continues else None,
        )


class Envelopes:
    """Writes envelopes; safe for threads, and zeep is not loaded before the first one."""

    def __init__(self, config: MarketingCloudConfig, scribe: Callable[[], Scribe]) -> None:
        self._config = config
        self._scribe = scribe
        self._templates: dict[Shape | str, Template] = {}
        self._lock = threading.Lock()

    def perform(self, customer_key: str, credentials: Mapping[str, str]) -> bytes:
        """Write a Perform "start" of one ImportDefinition; raise UnsendableError."""
        return _fill(self._template(DEFINITION), credentials, {"value0": customer_key})

    def retrieve(self, query: Query, credentials: Mapping[str, str]) -> bytes:
        """Write a Retrieve; raise UnsendableError."""
        values = {f"value{number}": value for number, value in enumerate(query.values)}
        return _fill(self._template(_shape(query)), credentials, values | {"continues": query.continues or ""})

    def prepare(self, *queries: Query) -> None:
        """Make the templates of Perform and of these queries."""
        self._template(DEFINITION)
        for query in queries:
            self._template(_shape(query))

    def _template(self, shape: Shape | str) -> Template:
        template = self._templates.get(shape)
        if template is None:
            with self._lock:
                template = self._templates.setdefault(shape, self._make(shape))
        return template

    def _make(self, shape: Shape | str) -> Template:
        if isinstance(shape, Shape):
            envelope = self._scribe().retrieve(shape.query(), header_blocks(self._config, "Retrieve"))
        else:
            envelope = self._scribe().perform(slot("value0"), header_blocks(self._config, "Perform"))
        text = etree.tostring(envelope, encoding="unicode")
        return Template(f'<?xml version="1.0" encoding="utf-8"?>\n{text}')


def _shape(query: Query) -> Shape:
    return Shape(query.object_type, query.filter_by, len(query.values), query.continues is not None)


def _fill(template: Template, credentials: Mapping[str, str], values: Mapping[str, str]) -> bytes:
    return template.fill({"message_id": str(uuid.uuid4()), **credentials, **values})


def _text(value: str) -> str:
    if _UNSENDABLE.search(value):
        # The value stays out of the text: it may be a secret.
        raise UnsendableError("a value has characters that XML cannot carry")
    return escape(value, {"\r": "&#13;"})

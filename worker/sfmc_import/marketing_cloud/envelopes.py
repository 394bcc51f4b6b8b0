"""What is sent: SOAP envelopes, each shape made once by zeep and then filled in; it opens no connection.

zeep needs about 0.1 ms for an envelope, filling one in takes a few microseconds;
a test keeps both equal, element for element.
"""

import base64
import os
import re
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from sys import intern
from typing import Any, Protocol
from xml.sax.saxutils import escape

from lxml import etree

from sfmc_import.file_format import Column, FileFormat
from sfmc_import.marketing_cloud.http import MarketingCloudConfig
from sfmc_import.runs import Definition, Run

WSA = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
ANONYMOUS = f"{WSA}/role/anonymous"
_OASIS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss"
WSSE = f"{_OASIS}-wssecurity-secext-1.0.xsd"
WSU = f"{_OASIS}-wssecurity-utility-1.0.xsd"
PASSWORD_TEXT = f"{_OASIS}-username-token-profile-1.0#PasswordText"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
# Not the namespace of the messages (Marketing Cloud docs, "OAuth token in SOAP calls").
FUEL = "http://exacttarget.com"


def placeholder(name: str) -> str:
    """Mark a place in an envelope that is filled in for each call."""
    return f"--slot:{name}--"


def header_blocks(config: MarketingCloudConfig, operation: str) -> list[etree._Element]:
    """Make the header blocks of one operation."""
    asking = _token_block() if config.uses_tokens else _user_block()
    return [*_addressing(operation, config.soap_address), asking]


def user_credentials(config: MarketingCloudConfig) -> Mapping[str, str]:
    """Fill the slots of the UsernameToken for one call: user, password, a fresh nonce and the time."""
    return {
        "username": config.username,
        "password": config.password.get_secret_value(),
        "nonce": base64.b64encode(os.urandom(16)).decode(),
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "token_id": f"SecurityToken-{uuid.uuid4()}",
    }


def _addressing(operation: str, address: str) -> list[etree._Element]:
    nsmap = {"wsa": WSA}
    return [
        _element(WSA, "Action", operation, nsmap=nsmap),
        _element(WSA, "MessageID", f"urn:uuid:{placeholder('message_id')}", nsmap=nsmap),
        _element(WSA, "ReplyTo", _element(WSA, "Address", ANONYMOUS, nsmap=nsmap), nsmap=nsmap),
        _element(WSA, "To", address, nsmap=nsmap),
    ]


def _token_block() -> etree._Element:
    nsmap: Any = {None: FUEL}
    return _element(FUEL, "fueloauth", placeholder("token"), nsmap=nsmap)


def _user_block() -> etree._Element:
    password = _element(WSSE, "Password", placeholder("password"))
    password.set("Type", PASSWORD_TEXT)
    user = _element(
        WSSE,
        "UsernameToken",
        _element(WSSE, "Username", placeholder("username")),
        password,
        _element(WSSE, "Nonce", placeholder("nonce")),
        _element(WSU, "Created", placeholder("created")),
    )
    user.set(f"{{{WSU}}}Id", placeholder("token_id"))
    security = _element(WSSE, "Security", user, nsmap={"wsse": WSSE, "wsu": WSU})
    security.set(f"{{{SOAP}}}mustUnderstand", "1")
    return security


def _element(
    namespace: str, name: str, *content: str | etree._Element, nsmap: dict[str, str] | None = None
) -> etree._Element:
    element = etree.Element(f"{{{namespace}}}{name}", nsmap=nsmap)
    for piece in content:
        if isinstance(piece, str):
            element.text = piece
        else:
            element.append(piece)
    return element


Row = Mapping[str, str]
"""The properties of one retrieved object by name, those of an inner object as Outer.Inner; nil or empty is absent."""

DEFINITION = "ImportDefinition"
DATA_EXTENSION = "DataExtension"
FIELD = "DataExtensionField"
LOCATION = "FileTransferLocation"
SUMMARY = "ImportResultsSummary"

# Asking for a property that cannot be retrieved makes the whole query fail, so these are the documented ones only
# (Marketing Cloud docs, "ImportDefinition" and "ImportResultsSummary").
PROPERTIES: Mapping[str, tuple[str, ...]] = {
    DEFINITION: (
        *("ObjectID", "CustomerKey", "Name", "FileSpec", "UpdateType", "MaxImportFrequency"),
        *("MaxFileAge", "MaxFileAgeScheduleOffset"),
    ),
    SUMMARY: (
        "ImportDefinitionCustomerKey",
        "TaskResultID",
        "ImportStatus",
        "ImportType",
        "DestinationID",
        "StartDate",
        "EndDate",
        "NumberSuccessful",
        "NumberDuplicated",
        "NumberErrors",
        "TotalRows",
    ),
    DATA_EXTENSION: ("ObjectID", "CustomerKey"),
    LOCATION: ("ObjectID", "CustomerKey"),
    FIELD: ("Name", "FieldType", "MaxLength", "Scale", "IsRequired", "IsPrimaryKey", "DefaultValue"),
}
FORMAT = (
    "CustomerKey", "FileType", "Delimiter", "HeaderLines", "FieldMappingType", "StandardQuotedStrings",
    "NullRepresentation", "DestinationObject.ObjectID",
)  # fmt: skip
"""How the file of a definition is read; FieldMaps and EncodingCodePage cannot be retrieved."""


INNER_PROPERTIES: Mapping[str, tuple[str, ...]] = {
    DEFINITION: ("DestinationObject.ID", "DestinationObject.ObjectID", "RetrieveFileTransferLocation.ObjectID"),
}
"""What a definition refers to: listed as retrievable by Describe, but by no document of the vendor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A Retrieve: all objects of a type, or those whose `filter_by` is one of `values`, or the next page of them.

    With `inner` it asks for INNER_PROPERTIES too, with `format` for FORMAT instead, with `above` only for rows with a
    greater TaskResultID.
    """

    object_type: str
    inner: bool = False
    format: bool = False
    filter_by: str | None = None
    values: tuple[str, ...] = ()
    above: str | None = None
    continues: str | None = None

    @property
    def properties(self) -> tuple[str, ...]:
        """The names of the properties that it asks for."""
        if self.format:
            return FORMAT
        inner = INNER_PROPERTIES.get(self.object_type, ()) if self.inner else ()
        return PROPERTIES[self.object_type] + inner

    def next_page(self, request_id: str) -> "Query":
        """Give the query that fetches what the answer `request_id` left over."""
        return replace(self, filter_by=None, values=(), above=None, continues=request_id)


def definition_by_key(customer_key: str) -> Query:
    """Ask for one ImportDefinition."""
    return Query(object_type=DEFINITION, filter_by="CustomerKey", values=(customer_key,))


def definitions_by_key(customer_keys: Iterable[str]) -> Query:
    """Ask for several ImportDefinitions."""
    return Query(object_type=DEFINITION, filter_by="CustomerKey", values=tuple(customer_keys))


def definition_by_object(object_id: str) -> Query:
    """Ask for one ImportDefinition by its ObjectID."""
    return Query(object_type=DEFINITION, filter_by="ObjectID", values=(object_id,))


def all_definitions() -> Query:
    """Ask for every ImportDefinition of a business unit."""
    return Query(object_type=DEFINITION)


def runs_by_definition(customer_key: str) -> Query:
    """Ask for all runs of a definition."""
    return Query(object_type=SUMMARY, filter_by="ImportDefinitionCustomerKey", values=(customer_key,))


def newer_runs(customer_keys: Iterable[str], above: str) -> Query:
    """Ask for the runs of these definitions above this TaskResultID."""
    return replace(runs_by_definition(""), values=tuple(customer_keys), above=above)


def runs_by_task(task_ids: Iterable[str]) -> Query:
    """Ask for runs by their task ids."""
    return Query(object_type=SUMMARY, filter_by="TaskResultID", values=tuple(task_ids))


def format_by_key(customer_key: str) -> Query:
    """Ask how one ImportDefinition reads its file."""
    return Query(object_type=DEFINITION, format=True, filter_by="CustomerKey", values=(customer_key,))


def data_extension_by_object(object_id: str) -> Query:
    """Ask for one data extension, whose key its fields are found by."""
    return Query(object_type=DATA_EXTENSION, filter_by="ObjectID", values=(object_id,))


def fields_of(customer_key: str) -> Query:
    """Ask for the fields of a data extension."""
    return Query(object_type=FIELD, filter_by="DataExtension.CustomerKey", values=(customer_key,))


def location_by_object(object_id: str) -> Query:
    """Ask for one file location, which says of itself its key alone."""
    return Query(object_type=LOCATION, filter_by="ObjectID", values=(object_id,))


def read_format(row: Row) -> tuple[str, FileFormat]:
    """Make a CustomerKey and how its file is read of a row; raise as `read_definition`."""
    form = FileFormat(
        file_type=row.get("FileType"),
        delimiter=row.get("Delimiter"),
        header_lines=_number(row, "HeaderLines"),
        mapping=row.get("FieldMappingType"),
        is_quoted=_is_true(row, "StandardQuotedStrings"),
        null_text=row.get("NullRepresentation"),
        destination=row.get("DestinationObject.ObjectID"),
    )
    return row["CustomerKey"], form


def read_column(row: Row) -> Column:
    """Make a column of a row; raise as `read_definition`."""
    return Column(
        name=row["Name"],
        type=row.get("FieldType", "Text"),
        length=_number(row, "MaxLength"),
        scale=_number(row, "Scale"),
        is_required=_is_true(row, "IsRequired"),
        is_primary_key=_is_true(row, "IsPrimaryKey"),
        has_default="DefaultValue" in row,
    )


def _is_true(row: Row, name: str) -> bool:
    return row.get(name, "").strip().lower() in {"true", "1"}


def read_definition(row: Row) -> Definition:
    """Make a definition of a row; raise ValueError where a number is none, KeyError where the key is missing."""
    return Definition(
        customer_key=row["CustomerKey"],
        name=row.get("Name"),
        object_id=row.get("ObjectID"),
        file_spec=row.get("FileSpec"),
        max_import_frequency=_number(row, "MaxImportFrequency"),
        max_file_age=_number(row, "MaxFileAge"),
        max_file_age_offset=_number(row, "MaxFileAgeScheduleOffset"),
        update_type=row.get("UpdateType"),
        destination=row.get("DestinationObject.ObjectID") or row.get("DestinationObject.ID"),
        location=row.get("RetrieveFileTransferLocation.ObjectID"),
    )


def read_run(row: Row) -> Run | None:
    """Make a run of a row, None while it has no TaskResultID; raise ValueError where a number is none."""
    task_id = _number(row, "TaskResultID")
    if task_id is None:
        return None
    return Run(
        task_id=str(task_id),
        customer_key=row.get("ImportDefinitionCustomerKey", ""),
        status=row.get("ImportStatus", "Unknown"),
        successful=_number(row, "NumberSuccessful"),
        duplicated=_number(row, "NumberDuplicated"),
        errors=_number(row, "NumberErrors"),
        total=_number(row, "TotalRows"),
        start_date=row.get("StartDate"),
        end_date=row.get("EndDate"),
        import_type=row.get("ImportType"),
        destination_id=row.get("DestinationID"),
    )


def read_known_run(row: Row) -> Run | None:
    """Make a run of a row with its TaskResultID, definition, status and date: a definition may have had thousands."""
    run = read_run(row)
    if run is None:
        return None
    # The same few words in each row are kept once.
    key, status = intern(run.customer_key), intern(run.status)
    return Run(task_id=run.task_id, customer_key=key, status=status, start_date=run.start_date)


def _number(row: Row, name: str) -> int | None:
    value = row.get(name)
    if value is None:
        return None
    # Not quoted: what stands there may be a secret. 18 digits: JSON and Redis would round more.
    if not _NUMBER.fullmatch(value):
        raise ValueError(f"{name} is not a number")
    return int(value)


_NUMBER = re.compile(r"\s*[+-]?[0-9]{1,18}\s*")
_PLACEHOLDER = re.compile(r"--slot:([a-z_]+[0-9]*)--")
# What XML 1.0 cannot carry, not even escaped (XML 1.0, production 2).
_UNSENDABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class UnsendableError(ValueError):
    """A value has characters that no XML document can carry."""


class UnsendableLoginError(UnsendableError):
    """The value is one of the login: it makes every call unsendable, whatever is asked."""


class EnvelopeBuilder(Protocol):
    """Makes envelopes from the WSDL; see sfmc_import.marketing_cloud.soap_library."""

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
        self._pieces = _PLACEHOLDER.split(envelope)

    def render(self, values: Mapping[str, str]) -> bytes:
        """Give the envelope with each slot replaced by its value, escaped; raise UnsendableError."""
        pieces = self._pieces.copy()
        pieces[1::2] = [_text(values[name]) for name in pieces[1::2]]
        return "".join(pieces).encode()


@dataclass(frozen=True, slots=True)
class QueryShape:
    """What the envelopes of one template have in common."""

    object_type: str
    filter_by: str | None
    values: int
    above: bool
    continues: bool
    inner: bool
    format: bool

    def query(self) -> Query:
        """Give the query with slots for values."""
        return Query(
            object_type=self.object_type,
            inner=self.inner,
            format=self.format,
            filter_by=self.filter_by,
            values=tuple(placeholder(f"value{number}") for number in range(self.values)),
            above=placeholder("above") if self.above else None,
            continues=placeholder("continues") if self.continues else None,
        )


class Envelopes:
    """Writes envelopes; safe for threads, and zeep is not loaded before the first one."""

    def __init__(self, config: MarketingCloudConfig, builder: Callable[[], EnvelopeBuilder]) -> None:
        self._config = config
        self._builder = builder
        self._templates: dict[QueryShape | str, Template] = {}
        self._lock = threading.Lock()

    def perform(self, customer_key: str, credentials: Mapping[str, str]) -> bytes:
        """Write a Perform "start" of one ImportDefinition; raise UnsendableError."""
        return _fill(self._template(DEFINITION), credentials, {"value0": customer_key})

    def retrieve(self, query: Query, credentials: Mapping[str, str]) -> bytes:
        """Write a Retrieve; raise UnsendableError."""
        values = {f"value{number}": value for number, value in enumerate(query.values)}
        values |= {"above": query.above or "", "continues": query.continues or ""}
        return _fill(self._template(_shape(query)), credentials, values)

    def prepare(self, *queries: Query) -> None:
        """Make the templates of Perform and of these queries."""
        self._template(DEFINITION)
        for query in queries:
            self._template(_shape(query))

    def _template(self, shape: QueryShape | str) -> Template:
        template = self._templates.get(shape)
        if template is None:
            with self._lock:
                template = self._templates.setdefault(shape, self._make(shape))
        return template

    def _make(self, shape: QueryShape | str) -> Template:
        if isinstance(shape, QueryShape):
            envelope = self._builder().retrieve(shape.query(), header_blocks(self._config, "Retrieve"))
        else:
            envelope = self._builder().perform(placeholder("value0"), header_blocks(self._config, "Perform"))
        text = etree.tostring(envelope, encoding="unicode")
        return Template(f'<?xml version="1.0" encoding="utf-8"?>\n{text}')


def _shape(query: Query) -> QueryShape:
    above, continues = query.above is not None, query.continues is not None
    return QueryShape(
        query.object_type, query.filter_by, len(query.values), above, continues, query.inner, query.format
    )


def _fill(template: Template, credentials: Mapping[str, str], values: Mapping[str, str]) -> bytes:
    try:
        return template.render({"message_id": str(uuid.uuid4()), **credentials, **values})
    except UnsendableError as error:
        if any(map(_UNSENDABLE.search, credentials.values())):
            raise UnsendableLoginError(str(error)) from None
        raise


def _text(value: str) -> str:
    if _UNSENDABLE.search(value):
        # The value stays out of the text: it may be a secret.
        raise UnsendableError("a value has characters that XML cannot carry")
    return escape(value, {"\r": "&#13;"})

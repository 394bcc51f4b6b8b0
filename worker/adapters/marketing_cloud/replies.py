"""Reading what came back, where it is plain: an accepted start, a page of rows; everything else is left to zeep.

zeep reads leniently and would take the half of an answer for the whole, so each reply is first parsed strictly.
"""

from dataclasses import dataclass

from lxml import etree

from worker.adapters.marketing_cloud.queries import Row
from worker.domain.runs import Accepted

_BODY = "{http://schemas.xmlsoap.org/soap/envelope/}Body"
_API = "{http://exacttarget.com/wsdl/partnerAPI}"
_STARTED = f"{_BODY}/{_API}PerformResponseMsg"
_FOUND = f"{_BODY}/{_API}RetrieveResponseMsg"
MORE = "MoreDataAvailable"


class UnreadableError(ValueError):
    """A reply that is not one whole, plain XML document."""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a query; `continues` is the RequestID to ask for the next page with, None on the last one."""

    rows: tuple[Row, ...]
    continues: str | None = None


@dataclass(frozen=True, slots=True)
class SoapFault:
    """A fault as stated: `kind` is Server, Client or Security, empty where no fault code was given."""

    kind: str
    code: int | None
    text: str


def parse(content: bytes) -> etree._Element:
    """Parse a reply strictly; raise UnreadableError."""
    try:
        # A parser of its own for each reply: libxml2 parsers keep state, and threads share nothing here.
        root = etree.fromstring(content, _parser())
    except (etree.XMLSyntaxError, ValueError) as error:
        raise UnreadableError(f"no well-formed XML in {len(content)} bytes") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise UnreadableError("a document type, which SOAP forbids")
    return root


def plain_start(root: etree._Element) -> Accepted | None:
    """Read an accepted start: OK throughout and a Task.ID; None for everything else."""
    message = root.find(_STARTED)
    if message is None or message.findtext(f"{_API}OverallStatus") != "OK":
        return None
    results = message.findall(f"{_API}Results/{_API}Result")
    if len(results) != 1 or results[0].findtext(f"{_API}StatusCode") != "OK":
        return None
    task_id = read_task_id(results[0].findtext(f"{_API}Task/{_API}ID"))
    request_id = message.findtext(f"{_API}RequestID") or None
    return Accepted(task_id=task_id, soap_request_id=request_id) if task_id else None


def plain_rows(root: etree._Element) -> Page | None:
    """Read a page of rows; None for everything else."""
    message = root.find(_FOUND)
    status = None if message is None else message.findtext(f"{_API}OverallStatus")
    if message is None or status not in {"OK", MORE}:
        return None
    continues = message.findtext(f"{_API}RequestID") if status == MORE else None
    if status == MORE and not continues:
        raise UnreadableError("more rows announced, but no RequestID to ask for them with")
    return Page(tuple(_row(result) for result in message.iterchildren(f"{_API}Results")), continues)


def read_task_id(text: str | None) -> str | None:
    """Give a Task.ID that can be a TaskResultID: a whole number above 0; else None."""
    task_id = (text or "").strip()
    return task_id if task_id.isascii() and task_id.isdigit() and int(task_id) > 0 else None


def _row(result: etree._Element) -> Row:
    return {etree.QName(field).localname: field.text for field in result if field.text and len(field) == 0}


def _parser() -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False, no_network=True, huge_tree=False, remove_comments=True, remove_pis=True
    )

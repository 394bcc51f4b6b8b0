"""Reading what came back, where it is plain: an accepted start, a page of rows; everything else is left to zeep.

zeep reads leniently and would take the half of an answer for the whole, so each reply is first parsed strictly.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from lxml import etree

from sfmc_import.faults import Fault, Rejected, after_code, after_situation
from sfmc_import.marketing_cloud.envelopes import Row
from sfmc_import.marketing_cloud.http import Failed, Reply
from sfmc_import.redaction import MAX_LOOKED_AT, hidden
from sfmc_import.runs import Accepted

_BODY = "{http://schemas.xmlsoap.org/soap/envelope/}Body"
_API = "{http://exacttarget.com/wsdl/partnerAPI}"
_STARTED = f"{_BODY}/{_API}PerformResponseMsg"
_FOUND = f"{_BODY}/{_API}RetrieveResponseMsg"
MORE = "MoreDataAvailable"


MAX_TAGS = 400_000
"""Signs < and = of a reply. A page of 2,500 rows has about 80,000."""


MAX_DECLARATION = 200
_DECLARED = re.compile(rb"""\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)""")
_PLAIN = (b"utf-8", b"utf8", b"utf-16", b"us-ascii", b"ascii", b"iso-8859-", b"windows-125")
"""Encodings in which each < and each = has its own byte."""


MAX_VALUE = 10_000
"""Characters of one property of a row; no one that is asked for may have so many."""


class UnreadableError(ValueError):
    """A reply that is not one whole, plain XML document."""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a query; `continues` is the RequestID to ask for the next page with, None on the last one.

    `size` is in bytes, unpacked.
    """

    rows: tuple[Row, ...]
    continues: str | None = None
    size: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class SoapFault:
    """A fault as stated: `kind` is Server, Client or Security, empty where no fault code was given."""

    kind: str
    code: int | None
    text: str


def parse(content: bytes) -> etree._Element:
    """Parse a reply strictly; raise UnreadableError."""
    begin = content.lstrip()[:MAX_DECLARATION]
    encoding = _DECLARED.match(begin)
    if begin.startswith(b"<?xml") and b"?>" not in begin:
        raise UnreadableError("an XML declaration without an end")
    if encoding and not encoding[1].lower().startswith(_PLAIN):
        raise UnreadableError("an encoding that may hide signs")
    if content.count(b"<") + content.count(b"=") > MAX_TAGS:
        # Each becomes a node of a tree, of a hundred bytes or more.
        raise UnreadableError(f"more than {MAX_TAGS} tags and attributes")
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


MAX_ID_DIGITS = 18
"""Longer numbers are no ids: Redis and JSON would round them."""


def read_task_id(text: str | None) -> str | None:
    """Give a Task.ID that can be a TaskResultID: a whole number above 0; else None."""
    task_id = (text or "").strip()
    is_number = task_id.isascii() and task_id.isdigit() and len(task_id) <= MAX_ID_DIGITS
    return task_id if is_number and int(task_id) > 0 else None


def _row(result: etree._Element) -> Row:
    row: dict[str, str] = {}
    for part in result:
        name = etree.QName(part).localname
        if len(part):
            row |= {f"{name}.{etree.QName(one).localname}": one.text for one in part if one.text and len(one) == 0}
        elif part.text:
            row[name] = part.text
    if any(len(value) > MAX_VALUE for value in row.values()):
        raise UnreadableError(f"a property of more than {MAX_VALUE} characters")
    return row


def _parser() -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False, no_network=True, huge_tree=False, remove_comments=True, remove_pis=True
    )


MAX_TEXT = 300
ERRORS = frozenset({"Error", "Has Errors"})
LOGIN_TEXTS = ("token expired", "login failed", "soap authorization failed")

Understand = Callable[[str, Reply], Any]
"""Reads an answer with zeep; see Service.understand."""


def parse_start_reply(answer: Reply | Failed, understand: Understand) -> Accepted | Fault:
    """Judge the answer to Perform "start"."""
    if isinstance(answer, Failed):
        return after_situation(answer.situation, answer.text)
    try:
        root = parse(answer.content)
        plain = plain_start(root) if answer.status == 200 else None
        return plain or _parse_reply(answer, _understood("Perform", answer, understand), _stated_start)
    except UnreadableError as error:
        return _by_status(answer, str(error))


def parse_page_reply(answer: Reply | Failed, understand: Understand) -> Page | Fault:
    """Judge the answer to Retrieve; what is ambiguous for a start is to be folded with `after_query`."""
    if isinstance(answer, Failed):
        return after_situation(answer.situation, answer.text)
    try:
        root = parse(answer.content)
        plain = plain_rows(root) if answer.status == 200 else None
        if plain is not None:
            return replace(plain, size=len(answer.content))
        return _parse_reply(answer, _understood("Retrieve", answer, understand), _stated_page)
    except UnreadableError as error:
        return _by_status(answer, str(error))


def _understood(operation: str, answer: Reply, understand: Understand) -> Any:
    try:
        return understand(operation, answer)
    except Exception as error:
        # Only the kind of the error is given: zeep puts whole replies into its texts.
        raise UnreadableError(f"zeep cannot read it: {type(error).__name__}") from error


def _parse_reply(answer: Reply, message: Any, stated: Callable[[Any], Fault]) -> Fault:
    fault = _stated_fault(answer, message) if isinstance(message, SoapFault) else stated(message)
    if not isinstance(fault, Rejected) and fault.retry_after is None:
        return replace(fault, retry_after=answer.retry_after)
    return fault


def _stated_fault(answer: Reply, fault: SoapFault) -> Fault:
    text = short(fault.text)
    if fault.code is not None:
        return after_code(fault.code, text)
    if fault.kind == "Security" or text.lower().startswith(LOGIN_TEXTS):
        return after_situation("token_refused", text)
    if not fault.kind or answer.status in {429, 503}:
        return _by_status(answer, text or "a fault without a code")
    verdict = after_code(None, text)
    return after_situation("server_fault", text) if _unexplained(fault, verdict) else verdict


def _unexplained(fault: SoapFault, verdict: Fault) -> bool:
    return fault.kind == "Server" and verdict.code == "no_code"


def _stated_start(message: Any) -> Fault:
    results = _results(message)
    if message is None or len(results) > 1:
        raise UnreadableError("not one result for one definition")
    result = results[0] if results else None
    status = getattr(result, "StatusCode", None) if result is not None else message.OverallStatus
    task = getattr(result, "Task", None)
    if status == "OK":
        return after_situation("no_task_id", "Marketing Cloud says OK but names no Task.ID to follow")
    if status not in ERRORS:
        raise UnreadableError("neither OK nor Error")
    if read_task_id(getattr(task, "ID", None)):
        raise UnreadableError("an error and a Task.ID at once")
    code = getattr(result, "ErrorCode", None) or getattr(task, "ErrorCode", None)
    text = getattr(result, "StatusMessage", None) or message.OverallStatusMessage
    return _stated_error(code, short(text or "an error without a text"))


def _stated_page(message: Any) -> Fault:
    status = getattr(message, "OverallStatus", None)
    if not status or status == "OK":
        raise UnreadableError("no OverallStatus, or one that belongs to another message")
    return _stated_error(None, short(status.removeprefix("Error:")) or "an error without a text")


def _stated_error(code: int | None, text: str) -> Fault:
    if not code and text.lower().startswith(LOGIN_TEXTS):
        return after_situation("token_refused", text)
    return after_code(code, text)


def _results(message: Any) -> list[Any]:
    return list(getattr(getattr(message, "Results", None), "Result", None) or [])


def _by_status(answer: Reply, text: str) -> Fault:
    described = f"HTTP {answer.status}, {text}"
    return after_situation(_situation(answer.status), described, retry_after=answer.retry_after)


def _situation(status: int) -> str:
    """Name what an HTTP status without a fault means; 302 and 303 may follow a call that was carried out."""
    if status == 200:
        return "unreadable_reply"
    if status in {400, 429, 503}:
        return f"http_{status}"
    if 400 < status < 500:
        return {401: "http_refused", 403: "http_refused", 407: "http_refused"}.get(status, "http_denied")
    return "redirected" if status in {301, 307, 308} else "http_status"


def short(text: str) -> str:
    """Make a text of the service fit into an event: one line, without secrets, and only then cut."""
    return " ".join(hidden(text[:MAX_LOOKED_AT]).split())[:MAX_TEXT]

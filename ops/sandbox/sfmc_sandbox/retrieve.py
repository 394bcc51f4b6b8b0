"""Retrieve: rows of any readable kind, filtered, with the properties requested, in batches."""

from collections.abc import Iterable, Mapping
from typing import Any

from sfmc_sandbox.account import Sandbox
from sfmc_sandbox.filters import FilterError, Manner, compile_filter, properties_of, value_at
from sfmc_sandbox.objects.kind import Readable, RefusalError
from sfmc_sandbox.operations import Call, caller_for
from sfmc_sandbox.runs import Batch, first_batch
from sfmc_sandbox.wire.codec import decode_message, text_of

_ROWS_OF = "DataExtensionObject"
_NO_HANDLER = (
    "Error: Unable to find a handler for object type: {name}. Object types are case-sensitive, check spelling."
)
_NO_PROPERTY = "Error: The Request Property(s) {names} do not match with the fields of {kind} retrieve"
_NO_MORE = "Error: The ContinueRequest {id} does not name a request with more data."

Row = Mapping[str, Any]


class RetrieveError(Exception):
    """The whole Retrieve fails; the text is the OverallStatus."""


def retrieve(sandbox: Sandbox, call: Call) -> dict[str, Any]:
    """The values of a RetrieveResponseMsg; errors are texts in OverallStatus, which begin with `Error:`."""
    try:
        rows, more = _batch(sandbox, call, _request(call))
    except (RetrieveError, FilterError) as problem:
        return {"OverallStatus": str(problem), "RequestID": call.request_id}
    except RefusalError as refusal:
        return {"OverallStatus": f"Error: {refusal.message}", "RequestID": call.request_id}
    status = "MoreDataAvailable" if more else "OK"
    return {"OverallStatus": status, "RequestID": call.request_id, "Results": rows}


def _request(call: Call) -> Row:
    message = decode_message(call.payload, "RetrieveRequestMsg")
    if message.problems:
        raise RetrieveError(f"Error: {message.problems[0]}")
    found: Row = message.values.get("RetrieveRequest") or {}
    return found


def _batch(sandbox: Sandbox, call: Call, request: Row) -> tuple[tuple[Row, ...], bool]:
    """The rows to send now, and whether there are more; the rest is kept under this call's RequestID."""
    clients = request.get("ClientIDs") or [None]
    mid = caller_for(call.caller, clients[0], sandbox.settings).mid
    batch = _continued(sandbox, mid, request) or _begun(sandbox, mid, request)
    following = batch.following()
    if following is not None:
        sandbox.pages.keep(call.request_id, following)
    return batch.rows, following is not None


def _continued(sandbox: Sandbox, mid: int, request: Row) -> Batch | None:
    asked = text_of(request, "ContinueRequest")
    found = sandbox.pages.find(asked, mid) if asked else None
    if asked and found is None:
        raise RetrieveError(_NO_MORE.format(id=asked))
    return found


def _begun(sandbox: Sandbox, mid: int, request: Row) -> Batch:
    size = int((request.get("Options") or {}).get("BatchSize") or 0)
    return first_batch(mid, iter(_select(sandbox, mid, request)), size)


def _select(sandbox: Sandbox, mid: int, request: Row) -> Iterable[Row]:
    name, _, key = text_of(request, "ObjectType").partition("[")
    wanted = list(dict.fromkeys(asked.strip() for asked in request.get("Properties") or () if asked))
    if name == _ROWS_OF:
        return _data_rows(sandbox, mid, key.removesuffix("]"), wanted, request)
    kind = sandbox.readable.get(name)
    if kind is None or key:
        raise RetrieveError(_NO_HANDLER.format(name=text_of(request, "ObjectType")))
    _check(name, wanted, kind.retrievable, request)
    return (_shown(name, row, wanted) for row in _filtered(sandbox, kind, mid, key, request))


def _data_rows(sandbox: Sandbox, mid: int, key: str, wanted: list[str], request: Row) -> Iterable[Row]:
    columns = sandbox.data_extension_rows.columns(mid, key)
    if columns is None:
        raise RetrieveError(_NO_HANDLER.format(name=text_of(request, "ObjectType")))
    _check(_ROWS_OF, wanted, columns, request)
    return (_data_row(row, wanted) for row in _filtered(sandbox, sandbox.data_extension_rows, mid, key, request))


def _check(kind: str, wanted: list[str], known: tuple[str, ...], request: Row) -> None:
    part = request.get("Filter")
    asked = [*wanted, *(properties_of(part) if part else ())]
    strange = [name for name in dict.fromkeys(asked) if name not in known]
    if strange:
        raise RetrieveError(_NO_PROPERTY.format(names=", ".join(strange), kind=kind))
    if not wanted:
        raise RetrieveError(f"Error: The Request has no Property for the {kind} retrieve")


def _filtered(sandbox: Sandbox, kind: Readable, mid: int, key: str, request: Row) -> Iterable[Row]:
    part = request.get("Filter")
    if part is None:
        return kind.rows(mid, key, None)
    settings = sandbox.settings
    manner = Manner(sandbox.store.fold, settings.single_in == "accept", settings.comparisons == "answer")
    test = compile_filter(part, manner)
    return (row for row in kind.rows(mid, key, part) if test(row))


def _shown(kind: str, row: Row, wanted: list[str]) -> Row:
    """The requested properties, and the two that every answer has."""
    shown: dict[str, Any] = {"xsi:type": kind, "PartnerKey": None, "ObjectID": row.get("ObjectID")}
    for path in wanted:
        value = value_at(row, path)
        if value is not None:
            _put(shown, path.split("."), value, row)
    return shown


def _put(shown: dict[str, Any], names: list[str], value: Any, row: Row) -> None:
    if len(names) == 1:
        shown[names[0]] = value
        return
    outer = row.get(names[0]) or {}
    inner = shown.setdefault(names[0], {key: outer[key] for key in ("xsi:type",) if key in outer})
    inner["ClientID" if names[1] == "ClientID1" else names[1]] = value


def _data_row(row: Row, wanted: list[str]) -> Row:
    properties = [{"Name": name, "Value": _text(row.get(name))} for name in wanted]
    return {
        "xsi:type": _ROWS_OF, "PartnerKey": None, "ObjectID": None, "Type": _ROWS_OF, "Properties": properties,
    }  # fmt: skip


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(value)

"""The page at `/_sandbox/`: definitions, runs, bad rows, destinations, faults and the control API."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import islice
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from sfmc_sandbox.account import Sandbox
from sfmc_sandbox.clock import server_date_time
from sfmc_sandbox.control import catalogue_entries
from sfmc_sandbox.fault_catalogue import CATALOGUE
from sfmc_sandbox.runs import Run

_NEWEST = 100
_BAD_ROWS = 20
_COUNTED = 10_000
_STYLE = """
body{font:14px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem;color:#1c2733;background:#fff}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #d5dce3;
vertical-align:top}th{font-weight:600}td.n{text-align:right;font-variant-numeric:tabular-nums}
code,pre{font:13px ui-monospace,monospace;background:#f1f4f7;padding:.1rem .3rem}pre{padding:.6rem;overflow:auto}
.Completed{color:#116329}.Error{color:#a40e26;font-weight:600}.none{color:#5b6875}
"""
_EXAMPLE = (
    "curl {base}/_sandbox/faults -H 'Content-Type: application/json' -d "
    '\'{{"operation": "Perform", "customer_key": "*", "fault": "drop_after_applying", "count": 3}}\''
)
_CONTROL = (
    ("GET /_sandbox/health", "whether it serves, and counts"),
    ("GET /_sandbox/performs", "every applied start; ?customer_key=… for one definition"),
    ("GET /_sandbox/performs/TASK_ID/bad-rows", "rows that were not imported, with reasons"),
    ("GET, POST, DELETE /_sandbox/faults", "active rules; add one; end all (DELETE /_sandbox/faults/ID for one)"),
    ("GET /_sandbox/catalogue", "the table of faults below as JSON"),
    ("GET, POST /_sandbox/clock", '{"set": "2026-01-31T12:00:00Z"}, {"advance": 3600}, {"freeze": true}'),
    ("POST /_sandbox/clock", '{"zone": "Asia/Tokyo"} for dates in FileSpec, {"before_midnight": 5} there'),
    ("POST /_sandbox/definitions", "store a definition from JSON without checks of rules"),
    ("GET /_sandbox/definitions/KEY", "a definition with every property, also those Retrieve does not give"),
    ("POST /_sandbox/callers", "add an API client or a user with only some permissions"),
    ("POST /_sandbox/system-status", '{"status": "InMaintenance"} for GetSystemStatus'),
    ("DELETE, POST /_sandbox/tokens", 'expire every token; {"length": 700} for new ones'),
    ("GET /_sandbox/limits", "how much is kept at most, and how much there is"),
    ("POST /_sandbox/reset", "forget objects, runs and faults"),
)


async def page(request: Request) -> Response:
    """`GET /_sandbox/`: HTML, or the table of faults as JSON if the request accepts JSON."""
    if not request.url.path.endswith("/"):
        return RedirectResponse(f"{request.url.path}/")
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"faults": catalogue_entries(), "control": dict(_CONTROL)})
    sandbox: Sandbox = request.app.state.sandbox
    return HTMLResponse(_document(sandbox, str(request.base_url).rstrip("/")))


def _document(sandbox: Sandbox, base: str) -> str:
    runs = sandbox.runs.newest(_NEWEST)
    parts = [
        _introduction(sandbox, base),
        "<h2>Definitions</h2>", _definitions(sandbox),
        "<h2>Runs</h2>", _runs(sandbox, runs),
        "<h2>Bad rows of these runs</h2>", _bad_rows(sandbox, runs),
        "<h2>Data extensions and lists</h2>", _destinations(sandbox),
        "<h2>Active faults</h2>", _active(sandbox),
        "<h2>Faults that can be injected</h2>", f"<pre>{escape(_EXAMPLE.format(base=base))}</pre>", _catalogue(),
        "<h2>Control API</h2>", _table(("Request", "What it does"), _CONTROL),
    ]  # fmt: skip
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>Sandbox of Marketing Cloud</title>"
        f"<meta name='viewport' content='width=device-width'><style>{_STYLE}</style></head>"
        f"<body><h1>Sandbox of Marketing Cloud</h1>{''.join(parts)}</body></html>"
    )


def _introduction(sandbox: Sandbox, base: str) -> str:
    return (
        f"<p>SOAP at <code>{escape(base)}/Service.asmx</code>, tokens at <code>/v2/token</code>, WSDL at "
        f"<code><a href='/etframework.wsdl'>/etframework.wsdl</a></code>, files below "
        f"<code>{escape(str(sandbox.files))}</code>. The clock shows {sandbox.clock.now():%Y-%m-%d %H:%M:%S} UTC.</p>"
    )


def _definitions(sandbox: Sandbox) -> str:
    shown = ("CustomerKey", "Name", "FileSpec", "UpdateType", "FieldMappingType", "MaxImportFrequency")
    rows = (
        [mid, *(thing.document.get(name, "") for name in shown), _destination(thing.document)]
        for mid in sandbox.settings.mids
        for thing in sandbox.store.all("ImportDefinition", mid)
    )
    return _table(("MID", *shown, "Destination"), rows)


def _destination(document: Mapping[str, Any]) -> str:
    target = document.get("DestinationObject") or {}
    name = target.get("CustomerKey") or target.get("ObjectID") or target.get("ID") or ""
    return f"{target.get('xsi:type', '')} {name}"


def _runs(sandbox: Sandbox, runs: Sequence[Run]) -> str:
    now = sandbox.clock.timestamp()
    counts = ("TotalRows", "NumberSuccessful", "NumberDuplicated", "NumberRestricted", "NumberErrors")
    rows = (
        [
            run.task_id, run.mid, run.customer_key, server_date_time(run.started), run.status_at(now),
            *((run.outcome or {}).get(name, "") for name in counts), (run.outcome or {}).get("message", ""),
        ]
        for run in runs
    )  # fmt: skip
    return _table(
        ("Task", "MID", "Definition", "Started (server time)", "Status", "Rows", "Successful", "Duplicated",
         "Restricted", "Errors", "Message"),
        rows,
    )  # fmt: skip


def _bad_rows(sandbox: Sandbox, runs: Sequence[Run]) -> str:
    rows = (
        [run.task_id, bad.file, bad.row, bad.line, bad.raw[:200], bad.reason]
        for run in runs
        if (run.outcome or {}).get("NumberErrors")
        for bad in sandbox.rows.bad_rows(run.task_id, limit=_BAD_ROWS)
    )
    return _table(("Task", "File", "Row", "Line", "Text", "Reason"), rows)


def _destinations(sandbox: Sandbox) -> str:
    extensions = (
        [mid, "DataExtension", extension.key, extension.name, sandbox.rows.row_count(str(mid), extension.key)]
        for mid in sandbox.settings.mids
        for extension in sandbox.rows.data_extensions(str(mid))
    )
    lists = (
        [mid, "List", thing.number, thing.document.get("ListName", ""), _members(sandbox, mid, thing.number)]
        for mid in sandbox.settings.mids
        for thing in sandbox.store.all("List", mid)
    )
    return _table(("MID", "Kind", "Key or ID", "Name", "Rows"), [*extensions, *lists])


def _members(sandbox: Sandbox, mid: int, number: int) -> int | str:
    """How many are on a list; counting stops at a limit, so that the page stays quick."""
    found = sum(1 for _ in islice(sandbox.rows.subscribers(str(mid), number), _COUNTED + 1))
    return found if found <= _COUNTED else f"more than {_COUNTED}"


def _active(sandbox: Sandbox) -> str:
    names = ("id", "fault", "operation", "customer_key", "object_type", "mid", "count", "probability", "seed", "fired")
    return _table(names, ([rule[name] for name in names] for rule in sandbox.faults.shown()))


def _catalogue() -> str:
    rows = (
        [kind.name, kind.stage.value, kind.meaning, ", ".join(f"{k} ({v})" for k, v in kind.parameters)]
        for kind in CATALOGUE.values()
    )
    return _table(("Fault", "When", "What happens", "Parameters (default)"), rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    if not body:
        return "<p class='none'>None.</p>"
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    kind = "n" if isinstance(value, int) else text if text in {"Completed", "Error"} else ""
    return f"<td class='{kind}'>{escape(text)}</td>"

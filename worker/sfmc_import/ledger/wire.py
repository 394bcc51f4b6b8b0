"""Turns our values into the arguments of a script, and its answers into our values."""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any

import orjson

from sfmc_import.ledger.schema import REQUEST
from sfmc_import.policy import Policy
from sfmc_import.request import FileInfo, StartRequest
from sfmc_import.runs import Definition, Run
from sfmc_import.states import AlreadyEnded, Decision, DueRequest, Followed, Lease, NotYet, Reconcile, StartNow


def milliseconds(seconds: float) -> int:
    """Seconds as whole milliseconds."""
    return round(seconds * 1000)


def as_json(arguments: Mapping[str, Any]) -> bytes:
    """Arguments as a script reads them; what JSON cannot carry is replaced, so that each refusal can be published."""
    try:
        return orjson.dumps(arguments)
    except TypeError:
        return json.dumps(arguments, ensure_ascii=False).encode("utf-8", "replace")


def request_arguments(request: StartRequest) -> dict[str, Any]:
    """What a script needs to record a request."""
    file = request.file
    return {
        "id": request.request_id,
        "mid": request.mid,
        "customer_key": request.customer_key,
        "event_id": request.event_id,
        "source": request.source,
        "reason": request.reason,
        "force": request.force,
        "file": None if file is None else orjson.dumps(_file_fields(file)).decode(),
        "name": None if file is None else file.name,
        "fp": None if file is None else file.fingerprint,
        "exact": file is not None and file.has_fingerprint,
    }


def _file_fields(file: FileInfo) -> dict[str, Any]:
    fields = {name: value for name, value in asdict(file).items() if value is not None}
    if "modified_ns" in fields:
        # Lua numbers are doubles: nanoseconds since 1970 do not fit, so they travel as text.
        fields["modified_ns"] = str(fields["modified_ns"])
    return fields | {"fingerprint": file.fingerprint}


def policy_arguments(policy: Policy) -> dict[str, Any]:
    """What a decision needs of the policy."""
    return {
        "when_too_soon": policy.when_too_soon,
        "coalesce": policy.coalesce,
        # The least window that is known without Marketing Cloud, for requests that no worker survives.
        "window": milliseconds(policy.window(Definition(customer_key="")) * 3600),
        "retry_deadline": milliseconds(policy.retry_deadline),
        "reconcile_deadline": milliseconds(policy.reconcile_deadline),
    }


def intent_arguments(known: Collection[str], *, above: bool) -> dict[str, Any]:
    """What the intent keeps: the ids known by now, and the newest of them."""
    numbers = [task_id for task_id in known if task_id.isascii() and task_id.isdigit()]
    newest = max(numbers, key=int, default="")
    return {"known": orjson.dumps(sorted(known)).decode(), "newest": newest, "above": above}


def read_decision(request_id: str, answer: bytes) -> Decision:
    """Read the answer of the step `claim`."""
    fields = orjson.loads(answer)
    match fields["decision"]:
        case "start_now":
            return StartNow(
                lease=_lease(request_id, fields), newest=fields.get("newest"), loss_age=fields.get("loss_age")
            )
        case "reconcile":
            known = frozenset(orjson.loads(fields["known"]))
            above = fields.get("above") or None
            return Reconcile(lease=_lease(request_id, fields), known=known, above=above, is_last=fields["late"])
        case "not_yet":
            return NotYet(state=fields["state"], held_by=fields.get("held_by"), opens_in=fields.get("opens_in"))
        case _:
            return AlreadyEnded(state=fields["state"], held_by=fields.get("held_by"), opens_in=fields.get("opens_in"))


def _lease(request_id: str, fields: Mapping[str, Any]) -> Lease:
    return Lease(
        request_id=request_id,
        mid=fields["mid"],
        customer_key=fields["customer_key"],
        fence=fields["fence"],
        attempt=fields["attempt"],
        seconds=float(fields["lease"]),
    )


def read_request(request_id: str, record: Mapping[bytes, bytes]) -> StartRequest | None:
    """Read a recorded request back; None when the ledger does not know it."""
    fields = REQUEST.read(record)
    if "state" not in fields:
        return None
    return StartRequest(
        request_id=request_id,
        customer_key=fields["customer_key"],
        mid=fields["mid"],
        file=_read_file(fields.get("file")),
        event_id=fields.get("event_id"),
        source=fields.get("source"),
        force=fields.get("force", False),
        reason=fields.get("reason"),
    )


def _read_file(fields: dict[str, Any] | None) -> FileInfo | None:
    if fields is None:
        return None
    fields.pop("fingerprint")
    if "modified_ns" in fields:
        fields["modified_ns"] = int(fields["modified_ns"])
    return FileInfo(**fields)


def read_followed(row: list[Any]) -> Followed:
    """Read one row of the step `followed`."""
    request_id, mid, key, task_id, status, polls, age, overdue = row
    return Followed(
        request_id=request_id,
        mid=mid,
        customer_key=key,
        task_id=task_id,
        status=status or None,
        polls=int(polls),
        age=int(age) / 1000,
        overdue=overdue == 1,
    )


def read_due(row: list[Any]) -> DueRequest:
    """Read one row of the step `due`."""
    return DueRequest(request_id=row[0], mid=row[1], state=row[2], customer_key=row[3], attempt=int(row[4]))


def result_arguments(run: Run | None) -> dict[str, Any]:
    """Row counts and dates for a terminal event; what Marketing Cloud did not say is left out."""
    if run is None:
        return {}
    fields = {
        "import_status": run.status,
        "rows_successful": run.successful,
        "rows_duplicated": run.duplicated,
        "rows_failed": run.errors,
        "rows_total": run.total,
        "start_date": run.start_date,
        "end_date": run.end_date,
        "import_type": run.import_type,
        "destination_id": run.destination_id,
    }
    return {name: value for name, value in fields.items() if value is not None}

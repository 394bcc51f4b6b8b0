"""Reads the answers of the scripts, and the records of requests."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from sfmc_import.ledger.schema import REQUEST
from sfmc_import.request import FileInfo, IdTakenError, StartRequest
from sfmc_import.states import (
    AlreadyEnded,
    Decision,
    DueRequest,
    FirstRead,
    Followed,
    Intent,
    Lease,
    NotYet,
    Reconcile,
    Result,
    StartNow,
)


def read_decision(request_id: str, answer: bytes) -> Decision:
    """Read the answer of the step `claim`."""
    fields = orjson.loads(answer)
    match fields["decision"]:
        case "start_now":
            return _start_now(_lease(request_id, fields), fields)
        case "reconcile":
            return Reconcile(
                lease=_lease(request_id, fields),
                known=frozenset(orjson.loads(fields["known"])),
                above=fields.get("above") or None,
                intended_at=_at(fields),
                denied=fields.get("denied"),
                is_last=fields["late"],
            )
        case "not_yet":
            facts = {name: fields.get(name) for name in ("held_by", "opens_in")}
            return NotYet(state=fields["state"], read_before=fields.get("early", False), **facts)
        case "other_content":
            raise IdTakenError(request_id)
        case _:
            return AlreadyEnded(state=fields["state"], held_by=fields.get("held_by"), opens_in=fields.get("opens_in"))


def _start_now(lease: Lease, fields: Mapping[str, Any]) -> StartNow:
    return StartNow(
        lease=lease,
        now=fields["now"],
        file_name=fields.get("file_name"),
        modified_at=int(fields["modified_ns"]) / 1e9 if "modified_ns" in fields else None,
        first=_first_read(fields.get("definition")),
        newest=fields.get("newest"),
        loss_age=fields.get("loss_age"),
        loss_since=_seconds(fields.get("loss_since")),
        denied=fields.get("denied"),
        earlier=_earlier_intent(fields),
        read_before=fields.get("early", False),
    )


def _seconds(time: str | None) -> float | None:
    return None if time is None else datetime.fromisoformat(time).timestamp()


def _earlier_intent(fields: Mapping[str, Any]) -> Intent | None:
    if "known" not in fields:
        return None
    return Intent(known=frozenset(orjson.loads(fields["known"])), above=fields.get("above"), intended_at=_at(fields))


def _at(fields: Mapping[str, Any]) -> float | None:
    return int(fields["intended"]) / 1000 if "intended" in fields else None


def _first_read(noted: str | None) -> FirstRead | None:
    return None if noted is None else FirstRead(**orjson.loads(noted))


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
        object_id=fields.get("object_id"),
        file=_read_file(fields.get("file")),
        event_id=fields.get("event_id"),
        source=fields.get("source"),
        force=fields.get("force", False),
        reason=fields.get("reason"),
        is_resolved="first_read" in fields,
        attempt=fields.get("attempt", 0),
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
    request_id, mid, key, task_id, status, polls, age, overdue, last_rows = row
    return Followed(
        request_id=request_id,
        mid=mid,
        customer_key=key,
        task_id=task_id,
        status=status or None,
        polls=int(polls),
        age=int(age) / 1000,
        overdue=overdue == 1,
        last_rows=int(last_rows) if last_rows else None,
    )


def read_result(name: bytes, caller: bytes, record: Mapping[bytes, bytes]) -> Result:
    """Read a result that somebody waits for; a record that is gone says so."""
    fields = REQUEST.read(record)
    known = {field: fields[field] for field in ("task_id", "held_by") if field in fields}
    state = fields.get("state", "gone")
    return Result(request_id=name.decode(), caller=caller.decode(), state=state, **known)


def read_due(row: list[Any]) -> DueRequest:
    """Read one row of the step `due`."""
    return DueRequest(request_id=row[0], mid=row[1], state=row[2], customer_key=row[3], attempt=int(row[4]))

"""What the scripts of the ledger are given: JSON with times in whole milliseconds."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields as dataclass_fields
from typing import Any

import orjson

from sfmc_import.faults import Fault, NotApplied
from sfmc_import.ledger.key_kinds import FILE_PARTS
from sfmc_import.policy import Policy, offsets_around
from sfmc_import.request import FileInfo, StartRequest, fold_key
from sfmc_import.runs import Definition
from sfmc_import.states import FirstRead


def milliseconds(seconds: float) -> int:
    """Seconds as whole milliseconds."""
    return round(seconds * 1000)


def as_json(arguments: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> bytes:
    """Arguments as a script reads them; what JSON cannot carry is replaced, so that each refusal can be published."""
    try:
        return orjson.dumps(arguments)
    except TypeError:
        return json.dumps(arguments, ensure_ascii=False).encode("utf-8", "replace")


def request_arguments(request: StartRequest) -> dict[str, Any]:
    """What a script needs to record a request; what it does not say is left out."""
    file = request.file
    said = {
        "id": request.request_id,
        "mid": request.mid,
        "customer_key": request.customer_key,
        "object_id": request.object_id,
        "event_id": request.event_id,
        "source": request.source,
        "reason": request.reason,
        "force": request.force,
        "file": None if file is None else _file_parts(file),
        "name": None if file is None else file.name,
        "fp": None if file is None else file.fingerprint,
        "exact": file is not None and file.has_fingerprint,
        "not_before": None if request.not_before is None else milliseconds(request.not_before),
        "expires": None if request.expires is None else milliseconds(request.expires),
        "content": request.content,
        "caller": request.caller,
        "replays": request.replays,
        "reply_to": request.reply_to,
        "reply_queue": request.reply_queue,
    }
    return {name: value for name, value in said.items() if value is not None}


def _file_parts(file: FileInfo) -> dict[str, str]:
    """Give the fields of a record that have what `name` and `fp` do not say of a file.

    As text: Lua numbers are doubles, and nanoseconds since 1970 do not fit.
    """
    known = file.known
    return {field: str(known[part]) for part, field in FILE_PARTS.items() if part in known}


def cause_arguments(fault: Fault) -> dict[str, str] | None:
    """Give what others met, where no call was made because of that."""
    cause = fault.cause if isinstance(fault, NotApplied) else None
    return None if cause is None or not cause[0] else {"code": cause[0], "text": cause[1]}


def scope_arguments(scope: str) -> dict[str, Any]:
    """What is paused; of a definition also its name as those are known by which the ledger has met one."""
    name = scope.split(":", 2)[2] if scope.startswith("key:") else ""
    return {"scope": scope, "folded_key": fold_key(name)}


def policy_arguments(policy: Policy, definition: Definition | None = None, now: float = 0.0) -> dict[str, Any]:
    """What a decision at `now` needs of the policy; the frequency that it gives for this definition, if it has one."""
    is_known = definition is not None or policy.frequency is not None
    hours = policy.window(definition or Definition(customer_key=""))
    return {
        "frequency": milliseconds(hours * 3600) if is_known else None,
        "when_too_soon": policy.when_too_soon,
        "coalesce": policy.coalesce,
        # The least window that is known without Marketing Cloud, for requests that no worker survives.
        "window": milliseconds(policy.window(Definition(customer_key="")) * 3600),
        "retry_deadline": milliseconds(policy.retry_deadline),
        "reconcile_deadline": milliseconds(policy.reconcile_deadline),
        **order_arguments(policy, now),
        **place_arguments(policy),
    }


def place_arguments(policy: Policy) -> dict[str, Any]:
    """What a script needs to know of the groups whose imports are counted, and how many of each may run."""
    return {"places": [list(limit) for limit in policy.limits]} if policy.limits else {}


def order_arguments(policy: Policy, now: float) -> dict[str, Any]:
    """What a script needs to know which other definitions must have run, and since when."""
    since = policy.after_since
    if not policy.after or since is None:
        return {"after": list(policy.after)} if policy.after else {}
    offsets = offsets_around(now, policy.time_zone)
    return {
        "after": list(policy.after),
        "after_time": milliseconds(since.hour * 3600 + since.minute * 60 + since.second),
        "offset_before": milliseconds(offsets.before),
        "offset_after": milliseconds(offsets.after),
        "offset_changed": milliseconds(offsets.changed),
    }


def intent_arguments(
    key: str, known: Collection[str], *, window: float, above: bool, bound: str | None
) -> dict[str, Any]:
    """What the intent keeps: the CustomerKey that is sent, the ids known by now, and the newest of them."""
    numbers = [task_id for task_id in known if task_id.isascii() and task_id.isdigit()]
    newest = max(numbers, key=int, default="")
    return {"known": orjson.dumps(sorted(known)).decode(), "newest": newest, "above": above} | {
        "bound": bound,
        "window": milliseconds(window * 3600),
        "key": key,
    }


def as_first_read(definition: Definition) -> str:
    """Write what a request notes of its definition."""
    values = {one.name: getattr(definition, one.name) for one in dataclass_fields(FirstRead)}
    return orjson.dumps({name: value for name, value in values.items() if value is not None}).decode()


def reading_arguments(definition: Definition, read_ago: float) -> dict[str, Any]:
    """What a script notes of a definition that was asked for so many seconds ago."""
    # Not rounded up: what was asked for after the request must not seem to be older than it.
    return {"definition": as_first_read(definition), "ago": int(read_ago * 1000)}

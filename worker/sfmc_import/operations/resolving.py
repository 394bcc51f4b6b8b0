"""Records what became of a start that could not be proved: its run, checked with Marketing Cloud, or none."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from sfmc_import.access import ReadAccess
from sfmc_import.advice import FORCE, Advice, Option
from sfmc_import.bootstrap import open_marketing_cloud
from sfmc_import.display import is_blank
from sfmc_import.errors import ServiceUnavailableError, SettingsError
from sfmc_import.faults import NotApplied, Rejected
from sfmc_import.ledger.calling import redis_errors
from sfmc_import.ledger.key_kinds import HOME
from sfmc_import.operations.errors import ConflictError, InvalidError, NotFoundError
from sfmc_import.operations.limits import MAX_TEXT, check_reason
from sfmc_import.operations.requests import no_request
from sfmc_import.operations.views import ActionView
from sfmc_import.ports import Refusal
from sfmc_import.request import fold_key
from sfmc_import.runs import Definition, Run, is_newer
from sfmc_import.settings import Settings, load
from sfmc_import.states import NOT_STARTED

QUERY_SECONDS = 5.0
CALL_SECONDS = 20.0
MAX_DIGITS = 18
UNCHECKED = Advice(("give ", Option("--unchecked", "unchecked"), " with a reason if you have seen it there"))

AskForRuns = Callable[[str, str], Mapping[str, Run] | Refusal]
"""Asks Marketing Cloud for the run of a business unit with a Task.ID."""


def quick(settings: Settings) -> Settings:
    """Give these settings with the times of a command: a person waits for its answer."""
    limits = {"call_retry_seconds": QUERY_SECONDS, "token_timeout": CALL_SECONDS, "read_timeout": CALL_SECONDS}
    return settings.model_copy(update={name: min(most, getattr(settings, name)) for name, most in limits.items()})


AskForDefinition = Callable[[str, str], Definition | Refusal | None]
"""Asks Marketing Cloud for the definition of a business unit with a CustomerKey."""


def _quick_settings() -> Settings:
    try:
        return quick(load(os.environ, marketing_cloud=True))
    except SettingsError as error:
        text = f"there is no login to ask Marketing Cloud: {error.problems[0]}"
        raise InvalidError(text, UNCHECKED, field="unchecked") from error


def ask_marketing_cloud(mid: str, task_id: str) -> Mapping[str, Run] | Refusal:
    """Ask with the login of the environment; raises InvalidError where it has none."""
    return open_marketing_cloud(_quick_settings()).runs(mid, [task_id])


def ask_for_definition(mid: str, customer_key: str) -> Definition | Refusal | None:
    """Ask for a definition, as `ask_marketing_cloud`."""
    return open_marketing_cloud(_quick_settings()).definition(mid, customer_key)


def resolve(
    access: ReadAccess,
    request_id: str,
    task_id: str | None,
    operator: str,
    reason: str | None,
    *,
    force: bool = False,
    ask: AskForRuns | None = ask_marketing_cloud,
    ask_definition: AskForDefinition = ask_for_definition,
) -> ActionView:
    """Record the run `task_id` of a request that ended as start_unknown, or without one that nothing was started.

    `ask` is None where the run is taken unchecked, `force` takes it although another operator has replayed the request.
    Raises NotFoundError, InvalidError, ConflictError where the request is neither start_unknown nor not_started, or the
    run is not its own, ServiceUnavailableError.
    """
    _check_said(reason, is_needed=task_id is None or ask is None or force)
    if (record := access.reader.request(request_id)) is None:
        raise no_request(access, request_id)
    if task_id is not None:
        _check_open(record, task_id)
        _check_definition(access, record, _check_task(access, record, task_id, ask), ask_definition)
    policy = access.settings.policy(record["mid"], record["customer_key"])
    ledger = access.ledger()
    done = ledger.resolve(request_id, task_id, operator[:MAX_TEXT], reason, policy, force=force)
    if not done:
        raise _refused(access, access.reader.request(request_id) or record, by_another=done is None)
    ledger.confirm([])
    return ActionView(request_id=request_id, state="not_started" if task_id is None else "started", operator=operator)


def _check_said(reason: str | None, *, is_needed: bool) -> None:
    if is_needed and is_blank(reason):
        raise InvalidError("a reason is needed: how you know", Advice(at_prompt="give --reason TEXT"), field="reason")
    check_reason(reason)


def _refused(access: ReadAccess, record: Mapping[str, Any], *, by_another: bool) -> ConflictError:
    return _by_another(access, record) if by_another else _not_unknown(record)


def _by_another(access: ReadAccess, record: Mapping[str, Any]) -> ConflictError:
    """Say what another operator did before, and what came of a replay: two runs may have imported the file."""
    again = record.get("replayed_by")
    if record["state"] != NOT_STARTED or again is None:
        text = f"another operator has resolved request {record['request_id']} before: it is {record['state']}"
        return ConflictError(text, "its events name the operator and the reason", state=record["state"])
    found = access.reader.request(again)
    came = f"request {again}, which is {found['state']}" if found else f"request {again}, which is not known any more"
    who = f" ({found['source']})" if found and found.get("source") else ""
    advice = Advice((FORCE, " records the run all the same; then look whether its file was imported twice"))
    text = f"request {record['request_id']} is {record['state']}, and it was replayed{who} as {came}"
    return ConflictError(text, advice, state=record["state"])


def _not_unknown(record: Mapping[str, Any]) -> ConflictError:
    task = f" with Task.ID {record['task_id']}" if "task_id" in record else ""
    text = f"request {record['request_id']} is {record['state']}{task}; only start_unknown can be resolved"
    return ConflictError(text, state=record["state"])


def _check_open(record: Mapping[str, Any], task_id: str) -> None:
    """Raise InvalidError for what is no Task.ID, and ConflictError where there is nothing to resolve."""
    if not (task_id.isascii() and task_id.isdigit()):
        raise InvalidError(f"a Task.ID is a whole number, not {task_id!r}", field="task_id")
    if len(task_id) > MAX_DIGITS:
        raise InvalidError(f"a Task.ID has {MAX_DIGITS} digits at most, not {len(task_id)}", field="task_id")
    # The same call again may have lost its answer; and somebody may have said before that nothing was started.
    if record["state"] not in {"start_unknown", NOT_STARTED} and str(record.get("task_id")) != task_id:
        raise _not_unknown(record)


def _check_task(access: ReadAccess, record: Mapping[str, Any], task_id: str, ask: AskForRuns | None) -> Run | None:
    """Give the run, where Marketing Cloud is asked for it."""
    owner = access.reader.request_of(record["mid"], task_id)
    if owner not in {None, record["request_id"]}:
        text = f"Task.ID {task_id} is the run of request {owner}"
        raise ConflictError(text, state=record["state"], field="task_id")
    if _existed_before(access, record["request_id"], task_id):
        text = f"run {task_id} existed before the start of request {record['request_id']} was sent"
        raise ConflictError(text, state=record["state"], field="task_id")
    if ask is None:
        return None
    found, mid = ask(record["mid"], task_id), record["mid"]
    if isinstance(found, (NotApplied, Rejected)):
        raise ServiceUnavailableError(f"Marketing Cloud cannot be asked for run {task_id}: {found.text}", UNCHECKED)
    if task_id not in found:
        raise NotFoundError(
            f"Marketing Cloud shows no run {task_id} in business unit {mid}", UNCHECKED, field="task_id"
        )
    return found[task_id]


def _check_definition(access: ReadAccess, record: Mapping[str, Any], run: Run | None, ask: AskForDefinition) -> None:
    if run is not None and not _is_run_of(access, record, run, ask):
        text = f"run {run.task_id} is one of the definition {run.customer_key}, not of {record['customer_key']}"
        raise ConflictError(text, state=record["state"], field="task_id")


def _is_run_of(access: ReadAccess, record: Mapping[str, Any], run: Run, ask: AskForDefinition) -> bool:
    """Tell whether a run is one of the definition of a request.

    Its CustomerKey may have been changed since, and another definition may have that by now: the ObjectID decides,
    where it is known.
    """
    mid, key, other = record["mid"], record["customer_key"], run.customer_key
    home, own = _definition_of(access, record)
    found = ask(mid, other)
    if isinstance(found, Definition) and found.object_id:
        if own is not None:
            return own == found.object_id
        if (noted := _noted_home(access, mid, found.object_id)) is not None:
            return fold_key(noted) == fold_key(home)
    keys = {fold_key(key), fold_key(home)}
    is_same = fold_key(other) in keys or fold_key(access.reader.home(mid, other)) == fold_key(home)
    if is_same and isinstance(found, NotApplied):
        text = f"Marketing Cloud cannot be asked whether run {run.task_id} is one of {key}: {found.text}"
        raise ServiceUnavailableError(text, UNCHECKED)
    return is_same


def _definition_of(access: ReadAccess, record: Mapping[str, Any]) -> tuple[str, str | None]:
    """Give the CustomerKey that the definition of a request had first, and its ObjectID where it was read for it."""
    with redis_errors():
        client: Any = access.client
        home, read, early = client.hmget(access.keys.request(record["request_id"]), "home", "definition", "early")
    own = None if read is None or early else orjson.loads(read).get("object_id")
    return record["customer_key"] if home is None else home.decode(), own or None


def _noted_home(access: ReadAccess, mid: str, object_id: str) -> str | None:
    with redis_errors():
        client: Any = access.client
        noted = client.get(access.keys.name_of(HOME, mid, object_id))
    return None if noted is None else str(noted.decode())


def _existed_before(access: ReadAccess, request_id: str, task_id: str) -> bool:
    """Tell whether the intent of a request knew this run: then it cannot be its own."""
    with redis_errors():
        client: Any = access.client
        known, above = client.hmget(access.keys.request(request_id), "known", "above")
    is_below = bool(above) and not is_newer(task_id, above.decode())
    return is_below or task_id in orjson.loads(known or b"[]")

"""The ledger on Redis or Valkey ≥ 6.2: each step is one script; connection trouble becomes LedgerUnavailableError."""

import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any
from uuid import uuid4

import orjson
from redis import Redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from sfmc_import.faults import Fault, Rejected
from sfmc_import.ledger import wire
from sfmc_import.ledger.schema import Keys, LedgerSettings, to_lua
from sfmc_import.policy import Policy
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.request import StartRequest
from sfmc_import.runs import Accepted, Run
from sfmc_import.states import Decision, DueRequest, Followed, Lease, to_lua_table

_LEASED = ("lease", "starting")
_ENDING = ("follow_ups", "lease", "duplicates")
STEPS: Mapping[str, tuple[str, ...]] = {
    "accept": ("upkeep",),
    "refuse": ("upkeep",),
    "claim": (*_ENDING, "claim"),
    "record_intent": _LEASED,
    "renew_intent": _LEASED,
    "withdraw_intent": _LEASED,
    "started": (*_ENDING, "starting"),
    "retry": (*_ENDING, "starting"),
    "mark_ambiguous": _LEASED,
    "reconcile_later": _LEASED,
    "record_start_unknown": (*_ENDING, "starting"),
    "reject": (*_ENDING, "starting"),
    "resolve": (*_ENDING, "starting"),
    "progressed": ("following",),
    "ended": (*_ENDING, "following"),
    "resume": ("lease", "following"),
    "due": ("upkeep",),
    "followed": ("following",),
    "report": ("upkeep",),
    "write_probe": ("upkeep",),
}
"""The Lua files that a step needs beside lib.lua, in order: each script creates all functions of its files anew."""


def read_part(name: str) -> str:
    """Give one file of Lua of this package, with the keys and the table of transitions filled in."""
    text = (files("sfmc_import.ledger") / f"{name}.lua").read_text("utf-8")
    return text.replace("@KEYS@", to_lua()).replace("@TRANSITIONS@", to_lua_table())


def _as_table(settings: Mapping[str, int]) -> str:
    return "{" + ",".join(f"{name}={value}" for name, value in settings.items()) + "}"


def sources(settings: Mapping[str, int], read: Callable[[str], str] = read_part) -> dict[str, str]:
    """Give the full text of every script by step; `settings` are whole numbers, times in milliseconds.

    `read` gives the text of a file by its name; tests read through one that sets the clock or a mutation.
    """
    lib = read("lib").replace("@SETTINGS@", _as_table(settings))
    joined = {step: "\n".join((lib, *map(read, parts), f"return steps.{step}()\n")) for step, parts in STEPS.items()}
    return {step: _without_unused(text) for step, text in joined.items()}


# A function at the left margin, on one line or up to the `end` at the left margin.
FUNCTION = re.compile(r"^(?:local )?function ((?:steps\.)?\w+)\((?:[^\n]* end|.*?^end)\n", re.MULTILINE | re.DOTALL)


def _without_unused(text: str) -> str:
    """Leave out the functions that no other text of the script names: Redis creates each one anew on each call."""
    functions = {match[1]: match[0] for match in FUNCTION.finditer(text)}
    reached: set[str] = set()
    found = _names(FUNCTION.sub("", text)) & functions.keys()
    while found:
        reached |= found
        found = set().union(*(_names(functions[name]) for name in found)) & functions.keys() - reached
    return FUNCTION.sub(lambda match: match[0] if match[1] in reached else "", text)


def _names(text: str) -> set[str]:
    return set(re.findall(r"(?:steps\.)?\w+", re.sub(r"--[^\n]*", "", text)))


# States of a server that pass: they reach a script as an error of the command that met them. Before Redis 7 the
# code stands behind the place in the script: `…: @user_script: 29: -OOM command not allowed…`.
_PASSING = re.compile(
    r"(\A|@user_script: ?\d+: -)"
    r"(READONLY|MISCONF|NOREPLICAS|OOM|LOADING|BUSY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|NOAUTH|NOPERM)\b"
)


def is_defect(error: RedisError) -> bool:
    """Tell whether a script itself failed: repeating it would fail for ever."""
    # Valkey and Redis name the place in the script; subclasses of ResponseError stand for states of the server.
    return type(error) is ResponseError and "user_script" in str(error) and not _PASSING.search(str(error))


@contextmanager
def redis_errors() -> Iterator[None]:
    """Turn every trouble with Redis into LedgerUnavailableError; a defect of a script stays what it is."""
    try:
        yield
    except RedisError as error:
        if is_defect(error):
            raise
        raise LedgerUnavailableError(str(error)) from error


@dataclass(frozen=True, slots=True)
class _Script:
    text: str
    sha: str


class RedisLedger:
    """Implements sfmc_import.ports.Ledger; safe for many threads, `client` must not decode replies.

    `scripts` are the texts by step, those of this package unless given.
    """

    def __init__(self, client: Redis, settings: LedgerSettings, scripts: Mapping[str, str] | None = None) -> None:
        self._client = client
        self._settings = settings
        self.keys = Keys(settings.prefix)
        self._scripts = {
            step: _Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
            for step, text in (scripts or sources(settings.for_scripts())).items()
        }

    def _run(self, step: str, arguments: dict[str, Any]) -> Any:
        script = self._scripts[step]
        argv = (2, self.keys.due, self.keys.stream, wire.as_json(arguments))
        with redis_errors():
            try:
                return self._client.evalsha(script.sha, *argv)
            except NoScriptError:
                return self._client.eval(script.text, *argv)

    def _run_confirmed(self, step: str, arguments: dict[str, Any]) -> Any:
        """Run a script and have it confirmed on the same connection, as the durability setting asks."""
        command = self._settings.durability.command
        if command is None:
            return self._run(step, arguments)
        script = self._scripts[step]
        with redis_errors():
            self._client.script_load(script.text)
            pipe = self._client.pipeline(transaction=False)
            pipe.evalsha(script.sha, 2, self.keys.due, self.keys.stream, wire.as_json(arguments))
            pipe.execute_command(*command)  # type: ignore[no-untyped-call]
            answer, confirmed = pipe.execute()
        if not self._settings.durability.is_met(confirmed):
            self._run("withdraw_intent", arguments)
            raise LedgerUnavailableError("the intent was not confirmed by replicas or disk; nothing was sent")
        return answer

    def _step(self, step: str, lease: Lease, **more: Any) -> Any:
        return self._run(step, {"id": lease.request_id, "fence": lease.fence, **more})

    def accept(self, request: StartRequest) -> bool:
        """See sfmc_import.ports.Ledger.accept."""
        # The call has a name: when its reply got lost and redis-py repeats it, the request is still new.
        return bool(self._run("accept", wire.request_arguments(request) | {"call": uuid4().hex}))

    def refuse(self, request: StartRequest, code: str, text: str) -> None:
        """See sfmc_import.ports.Ledger.refuse."""
        self._run("refuse", wire.request_arguments(request) | {"code": code, "text": text})

    def claim(self, request: StartRequest, owner: str, policy: Policy) -> Decision:
        """See sfmc_import.ports.Ledger.claim."""
        arguments = wire.request_arguments(request) | {"owner": owner, "policy": wire.policy_arguments(policy)}
        return wire.read_decision(request.request_id, self._run("claim", arguments))

    def load(self, request_id: str) -> StartRequest | None:
        """See sfmc_import.ports.Ledger.load."""
        with redis_errors():
            raw: Any = self._client.hgetall(self.keys.request(request_id))
        return wire.read_request(request_id, raw)

    def record_intent(self, lease: Lease, known: Collection[str], *, above: bool = False) -> float | None:
        """See sfmc_import.ports.Ledger.record_intent."""
        arguments = {"id": lease.request_id, "fence": lease.fence, **wire.intent_arguments(known, above=above)}
        return self._lease_left(self._run_confirmed("record_intent", arguments))

    def renew_intent(self, lease: Lease) -> float | None:
        """See sfmc_import.ports.Ledger.renew_intent."""
        arguments = {"id": lease.request_id, "fence": lease.fence}
        return self._lease_left(self._run_confirmed("renew_intent", arguments))

    @staticmethod
    def _lease_left(answer: Any) -> float | None:
        return None if int(answer) < 0 else int(answer) / 1000

    def withdraw_intent(self, lease: Lease) -> bool:
        """See sfmc_import.ports.Ledger.withdraw_intent."""
        return bool(self._step("withdraw_intent", lease))

    def started(
        self, lease: Lease, start: Accepted, window: float, policy: Policy, *, reconciled: bool = False
    ) -> bool:
        """See sfmc_import.ports.Ledger.started."""
        return bool(
            self._step(
                "started",
                lease,
                mid=lease.mid,
                customer_key=lease.customer_key,
                task=start.task_id,
                soap=start.soap_request_id,
                window=wire.milliseconds(window * 3600),
                follow_deadline=wire.milliseconds(policy.follow_deadline),
                delay=wire.milliseconds(self._settings.first_poll),
                reconciled=reconciled,
            )
        )

    def retry(self, lease: Lease, fault: Fault, delay: float) -> str | None:
        """See sfmc_import.ports.Ledger.retry."""
        pause = wire.milliseconds(delay)
        state = self._step("retry", lease, code=fault.code, text=fault.text, delay=pause)
        return None if state is None else str(state.decode())

    def mark_ambiguous(self, lease: Lease, fault: Fault, delay: float, policy: Policy) -> bool:
        """See sfmc_import.ports.Ledger.mark_ambiguous."""
        deadline = wire.milliseconds(policy.reconcile_deadline)
        pause = wire.milliseconds(delay)
        more = {"code": fault.code, "text": fault.text, "delay": pause, "reconcile_deadline": deadline}
        return bool(self._step("mark_ambiguous", lease, **more))

    def reconcile_later(self, lease: Lease, delay: float) -> bool:
        """See sfmc_import.ports.Ledger.reconcile_later."""
        return bool(self._step("reconcile_later", lease, delay=wire.milliseconds(delay)))

    def record_start_unknown(self, lease: Lease, candidates: Sequence[str], window: float) -> bool:
        """See sfmc_import.ports.Ledger.record_start_unknown."""
        return bool(
            self._step(
                "record_start_unknown", lease, candidates=list(candidates), window=wire.milliseconds(window * 3600)
            )
        )

    def reject(self, lease: Lease, fault: Rejected) -> bool:
        """See sfmc_import.ports.Ledger.reject."""
        return bool(self._step("reject", lease, code=fault.code, text=fault.text))

    def unassigned_task_ids(self, mid: str, task_ids: Collection[str]) -> frozenset[str]:
        """See sfmc_import.ports.Ledger.unassigned_task_ids."""
        if not task_ids:
            return frozenset()
        ordered = sorted(task_ids)
        with redis_errors():
            claims: Any = self._client.mget([self.keys.task(mid, task_id) for task_id in ordered])
        return frozenset(task_id for task_id, claim in zip(ordered, claims, strict=True) if claim is None)

    def followed(self, request_ids: Collection[str]) -> Sequence[Followed]:
        """See sfmc_import.ports.Ledger.followed."""
        rows = self._run("followed", {"ids": list(request_ids)}) if request_ids else []
        return [wire.read_followed(_texts(row)) for row in rows]

    def progressed(self, run: Followed, status: str | None, delay: float) -> None:
        """See sfmc_import.ports.Ledger.progressed."""
        pause = wire.milliseconds(delay)
        self._run("progressed", {"id": run.request_id, "task": run.task_id, "status": status, "delay": pause})

    def ended(self, run: Followed, outcome: str, result: Run | None, policy: Policy) -> None:
        """See sfmc_import.ports.Ledger.ended."""
        arguments = {"id": run.request_id, "task": run.task_id, "outcome": outcome, "on_error": policy.on_error}
        self._run("ended", arguments | {"result": wire.result_arguments(result)})

    def resume(self, request_id: str, policy: Policy) -> bool:
        """Follow a run again whose following had timed out; False when the request has no run to follow."""
        deadline = wire.milliseconds(policy.follow_deadline)
        return bool(self._run("resume", {"id": request_id, "follow_deadline": deadline}))

    def resolve(self, request_id: str, task_id: str | None, operator: str, reason: str | None, policy: Policy) -> bool:
        """See sfmc_import.ports.Ledger.resolve."""
        deadline = wire.milliseconds(policy.follow_deadline)
        arguments = {"id": request_id, "task": task_id, "operator": operator, "reason": reason}
        return bool(self._run("resolve", arguments | {"follow_deadline": deadline}))

    def report(self, report_id: str, name: str, mid: str, subject: str, data: Mapping[str, Any]) -> bool:
        """Publish an event about an arrival that became no request; False when it was published before."""
        arguments = {"id": report_id, "name": name, "mid": mid, "subject": subject}
        return bool(self._run("report", arguments | {"data": orjson.dumps(data).decode()}))

    def write_probe(self, who: str, count: int) -> bool:
        """See sfmc_import.ports.Ledger.write_probe."""
        return bool(self._run("write_probe", {"who": who, "count": count}))

    def due(self, limit: int, pause: float) -> Sequence[DueRequest]:
        """See sfmc_import.ports.Ledger.due."""
        rows = self._run("due", {"limit": limit, "pause": wire.milliseconds(pause)})
        return [wire.read_due(_texts(row)) for row in rows]


def _texts(row: list[Any]) -> list[Any]:
    return [value.decode() if isinstance(value, bytes) else value for value in row]

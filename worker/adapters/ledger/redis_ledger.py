"""The ledger on Redis or Valkey ≥ 6.2: each step is one script; connection trouble becomes LedgerDownError."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import orjson
from redis import Redis
from redis.exceptions import NoScriptError

from worker.adapters.ledger import wire
from worker.adapters.ledger.failures import redis_errors
from worker.adapters.ledger.keys import Keys
from worker.adapters.ledger.scripts import sources
from worker.adapters.ledger.settings import LedgerSettings
from worker.domain.decisions import Decision, Due, Followed, Grant
from worker.domain.faults import Fault, Rejected
from worker.domain.policy import Policy
from worker.domain.runs import Accepted, Run
from worker.messages import StartRequest
from worker.ports import LedgerDownError


@dataclass(frozen=True, slots=True)
class _Script:
    text: str
    sha: str


class RedisLedger:
    """Implements worker.ports.Ledger; safe for many threads, `client` must not decode replies.

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

    def _run_surely(self, step: str, arguments: dict[str, Any]) -> Any:
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
            self._run("not_sent", arguments)
            raise LedgerDownError("the intent was not confirmed by replicas or disk; nothing was sent")
        return answer

    def _step(self, step: str, grant: Grant, **more: Any) -> Any:
        return self._run(step, {"id": grant.request_id, "fence": grant.fence, **more})

    def accept(self, request: StartRequest) -> bool:
        """See worker.ports.Ledger.accept."""
        # The call has a name: when its reply got lost and redis-py repeats it, the request is still new.
        return bool(self._run("accept", wire.request_arguments(request) | {"call": uuid4().hex}))

    def refuse(self, request: StartRequest, code: str, text: str) -> None:
        """See worker.ports.Ledger.refuse."""
        self._run("refuse", wire.request_arguments(request) | {"code": code, "text": text})

    def take(self, request: StartRequest, owner: str, policy: Policy) -> Decision:
        """See worker.ports.Ledger.take."""
        arguments = wire.request_arguments(request) | {"owner": owner, "policy": wire.policy_arguments(policy)}
        return wire.read_decision(request.request_id, self._run("take", arguments))

    def load(self, request_id: str) -> StartRequest | None:
        """See worker.ports.Ledger.load."""
        with redis_errors():
            raw: Any = self._client.hgetall(self.keys.request(request_id))
        record = {name.decode(): value.decode() for name, value in raw.items()}
        return wire.read_request(request_id, record) if "state" in record else None

    def intend(self, grant: Grant, known: Collection[str], *, above: bool = False) -> float | None:
        """See worker.ports.Ledger.intend."""
        arguments = {"id": grant.request_id, "fence": grant.fence, **wire.intent_arguments(known, above=above)}
        return self._lease_left(self._run_surely("sending", arguments))

    def sending(self, grant: Grant) -> float | None:
        """See worker.ports.Ledger.sending."""
        arguments = {"id": grant.request_id, "fence": grant.fence}
        return self._lease_left(self._run_surely("sending", arguments))

    @staticmethod
    def _lease_left(answer: Any) -> float | None:
        return None if int(answer) < 0 else int(answer) / 1000

    def not_sent(self, grant: Grant) -> bool:
        """See worker.ports.Ledger.not_sent."""
        return bool(self._step("not_sent", grant))

    def started(
        self, grant: Grant, start: Accepted, window: float, policy: Policy, *, reconciled: bool = False
    ) -> bool:
        """See worker.ports.Ledger.started."""
        return bool(
            self._step(
                "started",
                grant,
                mid=grant.mid,
                customer_key=grant.customer_key,
                task=start.task_id,
                soap=start.soap_request_id,
                window=wire.milliseconds(window * 3600),
                follow_deadline=wire.milliseconds(policy.follow_deadline),
                delay=wire.milliseconds(self._settings.first_look),
                reconciled=reconciled,
            )
        )

    def retry(self, grant: Grant, fault: Fault, delay: float) -> str | None:
        """See worker.ports.Ledger.retry."""
        pause = wire.milliseconds(delay)
        state = self._step("retry", grant, code=fault.code, text=fault.text, delay=pause)
        return None if state is None else str(state.decode())

    def doubt(self, grant: Grant, fault: Fault, delay: float, policy: Policy) -> bool:
        """See worker.ports.Ledger.doubt."""
        deadline = wire.milliseconds(policy.reconcile_deadline)
        pause = wire.milliseconds(delay)
        more = {"code": fault.code, "text": fault.text, "delay": pause, "reconcile_deadline": deadline}
        return bool(self._step("doubt", grant, **more))

    def look_again(self, grant: Grant, delay: float) -> bool:
        """See worker.ports.Ledger.look_again."""
        return bool(self._step("look_again", grant, delay=wire.milliseconds(delay)))

    def unknown(self, grant: Grant, candidates: Sequence[str], window: float) -> bool:
        """See worker.ports.Ledger.unknown."""
        return bool(self._step("unknown", grant, candidates=list(candidates), window=wire.milliseconds(window * 3600)))

    def reject(self, grant: Grant, fault: Rejected) -> bool:
        """See worker.ports.Ledger.reject."""
        return bool(self._step("reject", grant, code=fault.code, text=fault.text))

    def unclaimed(self, mid: str, task_ids: Collection[str]) -> frozenset[str]:
        """See worker.ports.Ledger.unclaimed."""
        if not task_ids:
            return frozenset()
        ordered = sorted(task_ids)
        with redis_errors():
            claims: Any = self._client.mget([self.keys.task(mid, task_id) for task_id in ordered])
        return frozenset(task_id for task_id, claim in zip(ordered, claims, strict=True) if claim is None)

    def followed(self, request_ids: Collection[str]) -> Sequence[Followed]:
        """See worker.ports.Ledger.followed."""
        rows = self._run("followed", {"ids": list(request_ids)}) if request_ids else []
        return [wire.read_followed(_texts(row)) for row in rows]

    def progressed(self, run: Followed, status: str | None, delay: float) -> None:
        """See worker.ports.Ledger.progressed."""
        pause = wire.milliseconds(delay)
        self._run("progressed", {"id": run.request_id, "task": run.task_id, "status": status, "delay": pause})

    def ended(self, run: Followed, outcome: str, result: Run | None, policy: Policy) -> None:
        """See worker.ports.Ledger.ended."""
        arguments = {"id": run.request_id, "task": run.task_id, "outcome": outcome, "on_error": policy.on_error}
        self._run("ended", arguments | {"result": wire.result_arguments(result)})

    def resume(self, request_id: str, policy: Policy) -> bool:
        """Follow a run again whose following had timed out; False when the request has no run to follow."""
        deadline = wire.milliseconds(policy.follow_deadline)
        return bool(self._run("resume", {"id": request_id, "follow_deadline": deadline}))

    def resolve(self, request_id: str, task_id: str | None, operator: str, reason: str | None, policy: Policy) -> bool:
        """See worker.ports.Ledger.resolve."""
        deadline = wire.milliseconds(policy.follow_deadline)
        arguments = {"id": request_id, "task": task_id, "operator": operator, "reason": reason}
        return bool(self._run("resolve", arguments | {"follow_deadline": deadline}))

    def report(self, report_id: str, name: str, mid: str, subject: str, data: Mapping[str, Any]) -> bool:
        """Publish an event about an arrival that became no request; False when it was published before."""
        arguments = {"id": report_id, "name": name, "mid": mid, "subject": subject}
        return bool(self._run("report", arguments | {"data": orjson.dumps(data).decode()}))

    def pulse(self, who: str, count: int) -> bool:
        """See worker.ports.Ledger.pulse."""
        return bool(self._run("pulse", {"who": who, "count": count}))

    def due(self, limit: int, pause: float) -> Sequence[Due]:
        """See worker.ports.Ledger.due."""
        rows = self._run("due", {"limit": limit, "pause": wire.milliseconds(pause)})
        return [wire.read_due(_texts(row)) for row in rows]


def _texts(row: list[Any]) -> list[Any]:
    return [value.decode() if isinstance(value, bytes) else value for value in row]

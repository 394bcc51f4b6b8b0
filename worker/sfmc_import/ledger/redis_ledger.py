"""The ledger on Redis or Valkey ≥ 6.2: each step is one script; connection trouble becomes LedgerUnavailableError."""

import hashlib
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import orjson
from redis import Redis
from redis.exceptions import NoScriptError, OutOfMemoryError

from sfmc_import.faults import OF_A_LOOK, UNPROVED, Ambiguous, Fault, NotApplied, Rejected, is_in_words_of_the_service
from sfmc_import.ledger.arguments import (
    as_json,
    cause_arguments,
    intent_arguments,
    milliseconds,
    order_arguments,
    place_arguments,
    policy_arguments,
    reading_arguments,
    request_arguments,
    scope_arguments,
)
from sfmc_import.ledger.calling import (
    Script,
    ServerWatch,
    read_accepted,
    read_decision,
    read_due,
    read_followed,
    read_held,
    read_request,
    read_result,
    redis_errors,
    remove_done,
    run_many,
    texts,
)
from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.ledger_settings import LedgerSettings
from sfmc_import.ledger.notification_keys import REPLIES, read_reply
from sfmc_import.ledger.scripts import source
from sfmc_import.ledger.watching_keys import place_of_waits
from sfmc_import.policy import Policy
from sfmc_import.ports import LedgerUnavailableError, Refusal
from sfmc_import.processes import ALIVE_SECONDS, Process, TakeOver
from sfmc_import.request import GoneOnError, IdTakenError, StartRequest, fold_key
from sfmc_import.retrying import is_account_wide, pauses_after_errors
from sfmc_import.runs import Accepted, Definition, Run, Unexpected, result_arguments
from sfmc_import.states import (
    AS_EXPECTED,
    COMPLETED,
    Decision,
    DueRequest,
    Followed,
    Held,
    Lease,
    Reply,
    Reported,
    Result,
    Seen,
    Turn,
)
from sfmc_import.waiting import reason_of

if TYPE_CHECKING:
    from sfmc_import.ledger.quota import RedisQuota
    from sfmc_import.ledger.shared_tokens import RedisTokens
    from sfmc_import.permits import QuotaLimits


class _Scripts(dict[str, Script]):
    """The scripts by step, each made when it is first needed."""

    def __init__(self, text_of: Callable[[str], str]) -> None:
        super().__init__()
        self._text_of = text_of

    def __missing__(self, step: str) -> Script:
        text = self._text_of(step)
        self[step] = script = Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
        return script


class RedisLedger:
    """Implements sfmc_import.ports.Ledger; safe for many threads, `client` must not decode replies.

    `scripts` are the texts by step, those of this package unless given. A worker `works_off` also a full Redis.
    """

    works_off = False

    def __init__(self, client: Redis, settings: LedgerSettings, scripts: Mapping[str, str] | None = None) -> None:
        self._client = client
        self._settings = settings
        self.keys = Keys(settings.prefix)
        numbers = tuple(settings.for_scripts().items())
        self._scripts = _Scripts(scripts.__getitem__ if scripts else partial(source, settings=numbers))
        # Which days a change of the clocks is looked for in; all other times are those of the server.
        self.clock: Callable[[], float] = time.time
        self.server = ServerWatch(self._scripts["note_server"].text, self.keys)

    def quota(self, limits: "QuotaLimits") -> "RedisQuota":
        """Give the quota of an account."""
        # It loads the time zones: who only submits has no use for it.
        from sfmc_import.ledger.quota import RedisQuota  # noqa: PLC0415

        return RedisQuota(self._run, limits, self.clock)

    def tokens(self) -> "RedisTokens":
        """Give the access tokens that processes share."""
        from sfmc_import.ledger.shared_tokens import RedisTokens  # noqa: PLC0415 - for who has SFMC_TOKEN_KEY

        return RedisTokens(self._run, self.keys)

    def _run(self, step: str, arguments: dict[str, Any]) -> Any:
        script = self._scripts[step]
        argv = (2, self.keys.due, self.keys.stream, as_json(arguments))
        with redis_errors():
            try:
                return self._client.evalsha(script.sha, *argv)
            except NoScriptError:
                # A proxy may keep its connection to us while it takes another server.
                if self.works_off:
                    info = self._client.info("server")
                    self.server.note(info["run_id"], info.get("uptime_in_seconds"), self._client.execute_command)
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
            pipe.evalsha(script.sha, 2, self.keys.due, self.keys.stream, as_json(arguments))
            pipe.execute_command(*command)  # type: ignore[no-untyped-call]
            answer, confirmed = pipe.execute()
        if not self._settings.durability.is_met(confirmed):
            self._run("withdraw_intent", arguments)
            raise LedgerUnavailableError("the intent was not confirmed by replicas or disk; nothing was sent")
        return answer

    def _step(self, step: str, lease: Lease, **more: Any) -> Any:
        return self._run(step, {"id": lease.request_id, "fence": lease.fence, **more})

    def accept(self, request: StartRequest, *, report: bool = False, seen: Seen | None = None) -> bool:
        """See sfmc_import.ports.Ledger.accept; raises GoneOnError where what it replays is not as it was `seen`."""
        more = {} if seen is None else {"seen": seen.state, "seen_replay": seen.replayed_by}
        code = self._run("accept", self._accept_arguments(request, report=report) | more)
        if code == _GONE_ON:
            raise GoneOnError(f"request {request.replays} has gone on since it was looked at")
        answer = read_accepted(request, code)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def accept_many(
        self, requests: Sequence[StartRequest], *, report: bool = False
    ) -> list[bool | IdTakenError | LedgerUnavailableError]:
        """Record requests in few round trips, each by a script of its own; gives what `accept` gives or raises.

        When a connection breaks, the requests of that round trip and of those after it are not known to be recorded.
        """
        calls = [self._accept_arguments(each, report=report) for each in requests]
        answers = run_many(self._client, self._scripts["accept"], (self.keys.due, self.keys.stream), calls)
        return [read_accepted(*each) for each in zip(requests, answers, strict=True)]

    def confirm(self, recorded: Collection[str | Reported]) -> None:
        """See sfmc_import.ports.Ledger.confirm."""
        if self._settings.durability.kind == "none":
            return
        from sfmc_import.ledger.confirming import confirm  # noqa: PLC0415 - for who has SFMC_DURABILITY

        confirm(self._client, self._settings.durability, self.keys.mark, [*map(self.keys.record, recorded)])

    def _accept_arguments(self, request: StartRequest, *, report: bool) -> dict[str, Any]:
        # The call has a name: when its reply got lost and redis-py repeats it, the request is still new.
        refusal = str(IdTakenError(request.request_id)) if report else False
        return request_arguments(request) | {"call": uuid4().hex, "refusal": refusal, "works_off": self.works_off}

    def claim(
        self,
        request: StartRequest,
        owner: str,
        policy: Policy,
        definition: Definition | None = None,
        read_ago: float = 0.0,
        oldest: float | None = None,
    ) -> Decision:
        """See sfmc_import.ports.Ledger.claim."""
        decided_by = policy_arguments(policy, definition, self.clock())
        arguments = request_arguments(request) | {"owner": owner, "policy": decided_by}
        if definition is not None:
            arguments |= {"resolved_key": definition.customer_key, "folded_key": fold_key(definition.customer_key)}
            arguments |= reading_arguments(definition, read_ago)
            arguments |= {} if oldest is None else {"oldest": milliseconds(oldest)}
        return read_decision(request.request_id, self._run("claim", arguments))

    def read_again(self, request_id: str, definition: Definition, read_ago: float) -> bool:
        """See sfmc_import.ports.Ledger.read_again."""
        return bool(self._run("read_again", {"id": request_id, **reading_arguments(definition, read_ago)}))

    def hold(self, request: StartRequest, owner: str) -> tuple[bool, Decision | None]:
        """See sfmc_import.ports.Ledger.hold."""
        is_new, answer = self._run("hold", request_arguments(request) | {"owner": owner})
        return int(is_new) == 1, None if answer is None else read_decision(request.request_id, answer)

    def outlived(self, owner: str, request_ids: Collection[str]) -> None:
        """See sfmc_import.ports.Ledger.outlived."""
        self._run("outlived", {"ids": list(request_ids), "owner": owner})

    def held(self, request_id: str, owner: str) -> Held | None:
        """See sfmc_import.ports.Ledger.held."""
        return read_held(request_id, self._run("held", {"id": request_id, "owner": owner}), self._settings.lease)

    def unresolved(
        self, request: StartRequest, fault: Refusal, delay: float, policy: Policy, said_ago: float = 0.0
    ) -> str:
        """See sfmc_import.ports.Ledger.unresolved."""
        arguments = request_arguments(request) | {
            "attempt": request.attempt,
            "code": fault.code,
            "text": fault.text,
        }
        arguments |= {"delay": milliseconds(delay), "retry_deadline": milliseconds(policy.retry_deadline)}
        arguments |= {"final": isinstance(fault, Rejected), "account_wide": is_account_wide(fault)}
        arguments |= {"ago": int(said_ago * 1000), "waits": reason_of(fault), "cause": cause_arguments(fault)}
        state = str(self._run("unresolved", arguments).decode())
        if state == "other_content":
            raise IdTakenError(request.request_id)
        return state

    def load(self, request_id: str) -> StartRequest | None:
        """See sfmc_import.ports.Ledger.load."""
        with redis_errors():
            raw: Any = self._client.hgetall(self.keys.request(request_id))
        return read_request(request_id, raw)

    def record_intent(
        self,
        lease: Lease,
        known: Collection[str],
        *,
        window: float = 0.0,
        above: bool = False,
        bound: str | None = None,
        policy: Policy | None = None,
        is_sent: bool = True,
    ) -> float | NotApplied | None:
        """See sfmc_import.ports.Ledger.record_intent."""
        given = intent_arguments(lease.customer_key, known, window=window, above=above, bound=bound)
        arguments = {"id": lease.request_id, "fence": lease.fence, **given}
        if not is_sent:
            arguments["unsent"] = True
        if policy is not None:
            arguments["policy"] = order_arguments(policy, self.clock()) | place_arguments(policy)
        return self._lease_left(self._run_confirmed("record_intent", arguments))

    def renew_intent(self, lease: Lease) -> float | NotApplied | None:
        """See sfmc_import.ports.Ledger.renew_intent."""
        arguments = {"id": lease.request_id, "fence": lease.fence}
        return self._lease_left(self._run_confirmed("renew_intent", arguments))

    @staticmethod
    def _lease_left(answer: Any) -> float | NotApplied | None:
        if isinstance(answer, bytes):
            code, text = orjson.loads(answer)
            return NotApplied(code, text, account_wide=True)
        return None if int(answer) < 0 else int(answer) / 1000

    def withdraw_intent(self, lease: Lease, *, unproved: bool = False) -> bool:
        """See sfmc_import.ports.Ledger.withdraw_intent."""
        return bool(self._step("withdraw_intent", lease, unproved=unproved))

    def started(
        self, lease: Lease, start: Accepted, window: float, policy: Policy, *, reconciled: bool = False
    ) -> bool:
        """See sfmc_import.ports.Ledger.started."""
        more: dict[str, Any] = {"mid": lease.mid, "customer_key": lease.customer_key, "task": start.task_id}
        more |= {"soap": start.soap_request_id, "reconciled": reconciled, "window": milliseconds(window * 3600)}
        more |= {"home": lease.home, "follow_deadline": milliseconds(policy.follow_deadline)}
        return bool(self._step("started", lease, delay=milliseconds(self._settings.first_poll), **more))

    def retry(
        self, lease: Lease, fault: Fault, delay: float, *, let_go: bool = False, anew: bool = False
    ) -> str | None:
        """See sfmc_import.ports.Ledger.retry."""
        pause = milliseconds(delay)
        more: dict[str, Any] = {"delay": pause, "let_go": let_go, "anew": anew}
        more |= {"account_wide": is_account_wide(fault), "waits": reason_of(fault), "looked": fault.code in OF_A_LOOK}
        more["cause"] = cause_arguments(fault)
        state = self._step("retry", lease, code=fault.code, text=fault.text, unproved=fault.code in UNPROVED, **more)
        return None if state is None else str(state.decode())

    def mark_ambiguous(self, lease: Lease, fault: Fault, delay: float, policy: Policy) -> bool:
        """See sfmc_import.ports.Ledger.mark_ambiguous."""
        denied = isinstance(fault, Ambiguous) and fault.denied
        pause = milliseconds(delay)
        # What was denied is looked for once.
        deadline = pause if denied else milliseconds(policy.reconcile_deadline)
        more = {"code": fault.code, "text": fault.text, "delay": pause, "reconcile_deadline": deadline}
        more["doubted"] = denied and not is_in_words_of_the_service(fault)
        return bool(self._step("mark_ambiguous", lease, denied=fault.code if denied else "", **more))

    def reconcile_later(self, lease: Lease, fault: Fault, delay: float) -> bool:
        """See sfmc_import.ports.Ledger.reconcile_later."""
        pause = milliseconds(delay)
        why = {"code": fault.code, "text": fault.text, "account_wide": is_account_wide(fault)}
        why |= {"looked": fault.code in OF_A_LOOK, "cause": cause_arguments(fault)}
        return bool(self._step("reconcile_later", lease, delay=pause, **why))

    def record_start_unknown(self, lease: Lease, candidates: Sequence[str], window: float) -> bool:
        """See sfmc_import.ports.Ledger.record_start_unknown."""
        more: dict[str, Any] = {"candidates": list(candidates), "window": milliseconds(window * 3600)}
        return bool(self._step("record_start_unknown", lease, **more))

    def reject(self, lease: Lease, fault: Rejected) -> str | None:
        """See sfmc_import.ports.Ledger.reject."""
        state = self._step("reject", lease, code=fault.code, text=fault.text, unproved=fault.code in UNPROVED)
        return None if state is None else str(state.decode())

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
        return [read_followed(texts(row)) for row in rows]

    def polling(self, request_ids: Collection[str], owner: str) -> Turn:
        """See sfmc_import.ports.Ledger.polling."""
        granted, lost = self._run("polling", {"ids": list(request_ids), "owner": owner})
        return Turn(granted=tuple(texts(granted)), lost=tuple(texts(lost)))

    def progressed(self, run: Followed, status: str | None, delay: float, fault: Refusal | None = None) -> None:
        """See sfmc_import.ports.Ledger.progressed."""
        arguments: dict[str, Any] = {"id": run.request_id, "task": run.task_id, "status": status}
        arguments["delay"] = milliseconds(delay)
        if fault is not None:
            arguments |= {"code": fault.code, "text": fault.text, "cause": cause_arguments(fault)}
        self._run("progressed", arguments)

    def ended(
        self, run: Followed, outcome: str, result: Run | None, policy: Policy, unexpected: Unexpected | None = None
    ) -> Mapping[str, Any]:
        """See sfmc_import.ports.Ledger.ended."""
        arguments = {"id": run.request_id, "task": run.task_id, "outcome": outcome, "completed": outcome in COMPLETED}
        pauses = [milliseconds(pause) for pause in pauses_after_errors(policy.error_pause)]
        arguments |= {
            "as_expected": outcome in AS_EXPECTED,
            "shown": result.customer_key if result else None,
            "on_error": policy.on_error,
            "pauses": pauses,
            "result": result_arguments(result, unexpected),
        }
        answer = self._run("ended", arguments)
        return orjson.loads(answer) if answer and outcome == "import_failed" else {}

    def resume(self, request_id: str, policy: Policy) -> bool:
        """Follow a run again whose following had timed out; False when the request has no run to follow."""
        deadline = milliseconds(policy.follow_deadline)
        return bool(self._run("resume", {"id": request_id, "follow_deadline": deadline}))

    def resolve(
        self, request_id: str, task_id: str | None, operator: str, reason: str | None, policy: Policy,
        *, force: bool = False,
    ) -> bool | None:  # fmt: skip
        """See sfmc_import.ports.Ledger.resolve."""
        said = {"id": request_id, "task": task_id, "operator": operator, "reason": reason, "force": force}
        answer = self._run("resolve", said | {"follow_deadline": milliseconds(policy.follow_deadline)})
        return None if answer == _BY_ANOTHER else bool(answer)

    def _run_by_operator(self, step: str, request_id: str, operator: str, reason: str | None) -> str | None:
        state = self._run(step, {"id": request_id, "operator": operator, "reason": reason})
        return state and str(state.decode())

    def cancel(self, request_id: str, operator: str, reason: str | None) -> str | None:
        """End a request before its start; gives the state it is in then, None for an unknown request."""
        return self._run_by_operator("cancel", request_id, operator, reason)

    def settle(self, request_id: str, operator: str, reason: str) -> str | None:
        """Note that a bad end is dealt with; gives the state, None for an unknown request."""
        return self._run_by_operator("settle", request_id, operator, reason)

    def force(self, request_id: str, operator: str, reason: str) -> str | None:
        """Let a request that waits start without the window; gives its state, None for an unknown request."""
        return self._run_by_operator("force", request_id, operator, reason)

    def pause(self, scope: str, operator: str, reason: str, until: float | None, expects: str | None = None) -> bool:
        """Let starts of a scope (see `pauses` in ledger.md) wait, until a time (seconds since 1970) if one is given.

        False where `expects` is given and the scope has another pause, or none that it names.
        """
        said = {"operator": operator, "reason": reason, "call": uuid4().hex, "expects": expects}
        end = {"until": None if until is None else milliseconds(until)}
        answer = self._run("pause", scope_arguments(scope) | said | end)
        if answer == 2:
            self._wake_paused()
        return bool(answer != _CHANGED)

    def lift_pause(
        self, scope: str, operator: str, reason: str | None, expects: str | None = None
    ) -> bool | float | None:
        """End a pause and wake what waits for it, oldest first; False when there is none, None as `pause` says it.

        Of one that had ended by itself the time, in seconds since 1970.
        """
        said = scope_arguments(scope) | {"operator": operator, "reason": reason}
        answer = self._run("lift_pause", said | {"call": uuid4().hex, "expects": expects})
        if answer == _CHANGED:
            return None
        self._wake_paused()  # who lifted it before may have been cut off before all were woken
        return bool(answer) if isinstance(answer, int) else int(answer) / 1000

    def _wake_paused(self) -> None:
        while self._run("wake_paused", {"limit": _WOKEN_AT_ONCE}) == _WOKEN_AT_ONCE:
            pass

    def report(self, report_id: str, name: str, mid: str, subject: str, data: Mapping[str, Any]) -> bool:
        """See sfmc_import.ports.Ledger.report."""
        arguments = {"id": report_id, "name": name, "mid": mid, "subject": subject}
        return bool(self._run("report", arguments | {"data": orjson.dumps(data).decode()}))

    def note_folders(self, watcher: str, folders: Sequence[Mapping[str, Any]] | None) -> None:
        """Keep for a while what a watcher says of its folders; None when it ends."""
        text = None if folders is None else as_json(folders).decode()
        places = [place_of_waits(str(each.get("location"))) for each in folders or ()]
        self._run("note_folders", {"watcher": watcher, "text": text, "places": places})

    def write_probe(self, who: str, count: int, call: float = 0.0) -> bool:
        """See sfmc_import.ports.Ledger.write_probe."""
        return bool(self._run("write_probe", {"who": who, "count": count, "call": milliseconds(call)}))

    def present(self, process: Process) -> str:
        """See sfmc_import.ports.Ledger.present."""
        said = {"process": process.as_text(), "account": process.account, "is_full": self._is_full(process)}
        return str(self._run("present", said).decode())

    def _is_full(self, process: Process) -> bool:
        """Tell whether Redis refuses what needs memory: by a command that changes nothing."""
        with redis_errors():
            try:
                self._client.zadd(self.keys.processes, {process.as_text(): 0}, xx=True, gt=True)
            except OutOfMemoryError:
                return True
        return False

    def absent(self, process: Process) -> None:
        """See sfmc_import.ports.Ledger.absent."""
        self._run("absent", {"process": process.as_text()})

    def take_over(self, account: str) -> TakeOver:
        """Give the ledger to this account, after its workers have ended and, for another unit, its requests."""
        answer: TakeOver = self._run("take_over", {"account": account, "alive": milliseconds(ALIVE_SECONDS)}).decode()
        return answer

    def results(self, limit: int) -> Sequence[Result]:
        """See sfmc_import.ports.Ledger.results."""
        with redis_errors():
            client: Any = self._client
            found = islice(client.hgetall(self.keys.results).items(), limit)
            return [
                read_result(name, caller, client.hgetall(self.keys.request(name.decode()))) for name, caller in found
            ]

    def result_stored(self, result: Result, proof: str = "") -> None:
        """See sfmc_import.ports.Ledger.result_stored."""
        remove_done(self._client, "HDEL", self.keys.results, result.request_id, proof)

    def replies(self, limit: int, pause: float) -> Sequence[Reply]:
        """See sfmc_import.ports.Ledger.replies."""
        now, found = self._run("replies", {"limit": limit, "pause": milliseconds(pause)})
        return [read_reply(int(now), text) for text in found]

    def reply_sent(self, reply: Reply, proof: str = "") -> None:
        """See sfmc_import.ports.Ledger.reply_sent."""
        remove_done(self._client, "ZREM", self.keys.name_of(REPLIES), reply.stored, proof)

    def due(self, limit: int, pause: float) -> Sequence[DueRequest]:
        """See sfmc_import.ports.Ledger.due."""
        rows = self._run("due", {"limit": limit, "pause": milliseconds(pause)})
        return [read_due(texts(row)) for row in rows]


_CHANGED, _BY_ANOTHER, _GONE_ON = 3, 2, 3
_WOKEN_AT_ONCE = 500
"""How many paused requests one script wakes: Redis does nothing else meanwhile."""

"""Calls of scripts: what errors and answers mean, many calls in one round trip, and which server answers."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from redis import Redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from sfmc_import.ledger.arguments import as_json
from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.schema import REQUEST
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.request import FileInfo, IdTakenError, StartRequest
from sfmc_import.states import (
    AlreadyEnded,
    Decision,
    DueRequest,
    EarlierLoss,
    FirstRead,
    Followed,
    Held,
    Intent,
    Lease,
    NotYet,
    ReadFirst,
    Reconcile,
    Result,
    StartNow,
)

AT_ONCE = 500
"""Calls in one round trip at most: Redis answers them well within the time that a client waits."""

OTHER_CONTENT = 2
"""What the step `accept` answers when the id was accepted with other content."""

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
class Script:
    """The text of a step, and the digest by which a server knows it."""

    text: str
    sha: str


def run_many(client: Redis, script: Script, keys: Sequence[str], calls: Sequence[Mapping[str, Any]]) -> list[Any]:
    """Run a script for each of these arguments, many in one round trip; an error stands in the place of its answer.

    When a connection breaks, that is the answer to all calls of this round trip, done or not, and of those after it.
    """
    packed = [(len(keys), *keys, as_json(each)) for each in calls]
    answers: list[Any] = []
    for begin in range(0, len(packed), AT_ONCE):
        try:
            answers += _in_one_trip(client, script, packed[begin : begin + AT_ONCE])
        except RedisError as error:
            return answers + [error] * (len(packed) - begin)
    return answers


def _in_one_trip(client: Redis, script: Script, packed: Sequence[tuple[Any, ...]]) -> list[Any]:
    answers = _piped(client, [("EVALSHA", script.sha, *each) for each in packed])
    unknown = [place for place, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
    if unknown:
        # The first one brings the script to a server that does not know it.
        calls = [("EVALSHA", script.sha, *packed[place]) for place in unknown]
        calls[0] = ("EVAL", script.text, *packed[unknown[0]])
        for place, answer in zip(unknown, _piped(client, calls), strict=True):
            answers[place] = answer
    return answers


def _piped(client: Redis, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
    with client.pipeline(transaction=False) as pipe:
        for call in calls:
            pipe.execute_command(*call)  # type: ignore[no-untyped-call]
        return list(pipe.execute(raise_on_error=False))


def read_accepted(request: StartRequest, answer: Any) -> bool | IdTakenError | LedgerUnavailableError:
    """Read the answer of the step `accept`, or the error in its place; raises what is a defect of the script."""
    if isinstance(answer, RedisError):
        if is_defect(answer):
            raise answer
        unavailable = LedgerUnavailableError(str(answer))
        unavailable.__cause__ = answer
        return unavailable
    return IdTakenError(request.request_id) if int(answer) == OTHER_CONTENT else int(answer) == 1


REMOVE = """
-- KEYS: key, what must be there.  ARGV: command, member.  A server that took over may lack what was sent before.
return redis.call('EXISTS', KEYS[2]) == 1 and redis.call(ARGV[1], KEYS[1], ARGV[2]) or 0
"""


def remove_done(client: Any, command: str, key: str, member: str | bytes, proof: str) -> None:
    """Remove a member of a key whose work is done, if this server has the `proof` of it; without one at once."""
    with redis_errors():
        if proof:
            client.eval(REMOVE, 2, key, proof, command, member)
        else:
            client.execute_command(command, key, member)


# --- Which server answers.

Execute = Callable[..., Any]

_RUN_ID = re.compile(rb"run_id:(\w+)")
_UPTIME = re.compile(rb"uptime_in_seconds:(\d+)")


class ServerWatch:
    """Notes in the ledger which run of which server answers; from another one on, starts are careful.

    `script` is the text of the step `note_server`.
    """

    def __init__(self, script: str, keys: Keys) -> None:
        self._script = script
        self._keys = keys
        self._number = 0
        # Called with the `run_id` of a server that may lack the last writes.
        self.on_change: Callable[[str], object] = str

    def note(self, run_id: str, uptime: int | None, execute: Execute) -> None:
        """Note which run of a server answers, for how many seconds; `execute` sends one command to it."""
        # A process may have missed a server between two that are the same to it: the ledger compares. One that
        # has noted a later server than the ledger names, or any where it names none, knows that writes are lost.
        note = as_json({"run_id": run_id, "uptime": uptime, "number": self._number})
        self._number, is_changed = execute("EVAL", self._script, 2, self._keys.due, self._keys.stream, note)
        if is_changed:
            self.on_change(run_id)

    def watch(self, client: Redis) -> None:
        """Note the server on each connection that this client makes from now on, before anything is asked on it."""
        client.connection_pool.connection_kwargs["redis_connect_func"] = self._on_connect

    def _on_connect(self, connection: Any) -> None:
        connection.on_connect()

        def execute(*command: Any) -> Any:
            connection.send_command(*command)
            return connection.read_response()

        # A server that refuses this refuses the steps as well, and says so there.
        with suppress(ResponseError):
            info = execute("INFO", "server")
            found, uptime = _RUN_ID.search(info), _UPTIME.search(info)
            if found is not None:
                self.note(found[1].decode(), None if uptime is None else int(uptime[1]), execute)


# --- What the answers say.


def read_decision(request_id: str, answer: bytes) -> Decision:
    """Read the answer of the step `claim`."""
    fields = orjson.loads(answer)
    match fields["decision"]:
        case "start_now":
            return _start_now(_lease(request_id, fields), fields)
        case "reconcile":
            return Reconcile(
                lease=_lease(request_id, fields),
                now=fields["now"],
                known=frozenset(orjson.loads(fields["known"])),
                above=fields.get("above") or None,
                bound=fields.get("bound"),
                intended_at=_at(fields),
                forgotten_from=_forgotten_from(fields),
                unknown_until=_unknown_until(fields),
                denied=fields.get("denied"),
                object_id=fields.get("object_id"),
                is_last=fields["late"],
            )
        case "not_yet":
            facts = {name: fields.get(name) for name in ("held_by", "opens_in")}
            return NotYet(state=fields["state"], read_before=fields.get("early", False), **facts)
        case "read_first":
            return ReadFirst()
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
        may_be_new=fields.get("is_empty", False),
        longest_call=fields.get("longest_call", 0.0),
        loss_is_past=fields.get("is_past", False),
        earlier_losses=tuple(map(_earlier_loss, fields.get("earlier_losses", ()))),
        candidates=frozenset(orjson.loads(fields.get("candidates", "[]"))),
        denied=fields.get("denied"),
        earlier=_earlier_intent(fields),
        read_before=fields.get("early", False),
        object_id=fields.get("object_id"),
        other_keys=tuple(key for key in (fields.get("home"), fields.get("asked")) if key),
    )


def _earlier_loss(fields: Mapping[str, Any]) -> EarlierLoss:
    return EarlierLoss(age=fields["age"], newest=fields.get("newest"), since=_seconds(fields.get("since")))


def _seconds(time: str | None) -> float | None:
    return None if time is None else datetime.fromisoformat(time).timestamp()


def _earlier_intent(fields: Mapping[str, Any]) -> Intent | None:
    if "known" not in fields:
        return None
    return Intent(
        known=frozenset(orjson.loads(fields["known"])),
        above=fields.get("above"),
        bound=fields.get("bound"),
        intended_at=_at(fields),
        forgotten_from=_forgotten_from(fields),
        unknown_until=_unknown_until(fields),
    )


def _at(fields: Mapping[str, Any]) -> float | None:
    return int(fields["intended"]) / 1000 if "intended" in fields else None


def _forgotten_from(fields: Mapping[str, Any]) -> float | None:
    return int(fields["forgot"]) / 1000 if "forgot" in fields else None


def _unknown_until(fields: Mapping[str, Any]) -> float | None:
    return int(fields["unknown"]) / 1000 if "unknown" in fields else None


def _first_read(noted: str | None) -> FirstRead | None:
    return None if noted is None else FirstRead(**orjson.loads(noted))


def _lease(request_id: str, fields: Mapping[str, Any]) -> Lease:
    return Lease(
        request_id=request_id,
        mid=fields["mid"],
        customer_key=fields["customer_key"],
        home=fields.get("home"),
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
        reply_to=fields.get("reply_to"),
        reply_queue=fields.get("reply_queue"),
        is_resolved="first_read" in fields,
        attempt=fields.get("attempt", 0),
    )


def _read_file(fields: dict[str, Any] | None) -> FileInfo | None:
    if fields is None:
        return None
    known = {name: value for name, value in fields.items() if name != "fingerprint"}
    if "modified_ns" in known:
        known["modified_ns"] = int(known["modified_ns"])
    return FileInfo(**known)


def read_held(request_id: str, answer: bytes | None, lease_seconds: float) -> Held | None:
    """Read the answer of the step `held`."""
    if answer is None:
        return None
    said = orjson.loads(answer)
    if "fence" not in said:
        return Held(attempt=said["attempt"])
    named = {name: said[name] for name in ("mid", "customer_key", "fence", "attempt")}
    lease = Lease(request_id=request_id, home=said.get("home"), seconds=lease_seconds, **named)
    doubt = {"is_in_doubt": said["in_doubt"], "looks": said["looks"], "is_last": said["late"]}
    return Held(attempt=said["attempt"], lease=lease, **doubt)


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


def texts(row: list[Any]) -> list[Any]:
    """Give the values of a row as text, where they came as bytes."""
    return [value.decode() if isinstance(value, bytes) else value for value in row]

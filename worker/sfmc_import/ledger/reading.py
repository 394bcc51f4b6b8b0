"""Reads the ledger for people and monitoring: a request, a definition, the whole."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from redis import Redis
from redis.exceptions import NoPermissionError

from sfmc_import.ledger.calling import redis_errors
from sfmc_import.ledger.key_kinds import COMPLETED, HOME, PLACES, RENAMED
from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.loss_keys import LOSS
from sfmc_import.ledger.operator_keys import PAUSES
from sfmc_import.ledger.schema import DEFINITION, DEFINITIONS, EVENT, REQUEST, SEEN
from sfmc_import.ledger.watching_keys import BROKER_AWAY, CLOCKS, FULL, LAST_SEEN, clock_said, is_old_clock
from sfmc_import.processes import Heard, Running, heard, running
from sfmc_import.request import FileInfo, fold_key

if TYPE_CHECKING:
    from sfmc_import.outlook import Standing


_UNIT_LOOKS = 20
"""How many times a thousand definitions are looked through for one of a business unit."""

PLACE_KEPT_SECONDS = 60.0
_HAS_PLACE = frozenset({b"starting", b"reconciling", b"started", b"retrying"})
"""How long a place is kept, and the states that have one, as places.lua and lib.lua say it."""


@dataclass(frozen=True, slots=True)
class Pauses:
    """What operators said, by scope; and the first CustomerKey of the definition that the name in a scope means now."""

    said: Mapping[str, Mapping[str, Any]]
    homes: Mapping[str, str]

    def scope_of(self, mid: str, customer_key: str, home: str) -> str | None:
        """Give the scope of the pause that holds a definition, by the rules of `pause_of` in pausing.lua."""
        found = next((scope for scope in ("all", f"mid:{mid}") if scope in self.said), None)
        return found or self.of_definition(mid, customer_key, home)

    def of_definition(self, mid: str, customer_key: str, home: str) -> str | None:
        """Give the scope of the pause of a definition alone, by whatever name that was set."""
        exact = f"key:{mid}:{customer_key}"
        scopes = sorted(
            (scope for scope in self.homes if scope.split(":", 2)[1] == mid), key=lambda each: each != exact
        )
        return next((scope for scope in scopes if self._is_of(scope, customer_key, home)), None)

    def _is_of(self, scope: str, customer_key: str, home: str) -> bool:
        said = self.said[scope]
        if fold_key(home) in map(fold_key, said.get("free") or ()):
            return False
        names = said.get("homes") or [self.homes[scope]]
        return fold_key(customer_key) == fold_key(scope.split(":", 2)[2]) or fold_key(home) in map(fold_key, names)


def lasts(said: Mapping[str, Any], now: float) -> bool:
    """Tell whether a pause holds, by the rule of `lasts` in pausing.lua; one that was seen to be over does not."""
    return not said.get("over") and (said.get("until") is None or said["until"] > now * 1000)


@dataclass(frozen=True, slots=True)
class SeenFolder:
    """A folder as a watcher read it last: by the host of the watcher and the file system; `name` is that in Redis."""

    location: str
    folder: str
    host: str
    mount: str
    name: str
    seen_at: float
    has_stopped: bool


class LedgerReader:
    """Plain mappings for `status` and monitoring; raises LedgerUnavailableError when Redis cannot be asked."""

    def __init__(self, client: Redis, keys: Keys) -> None:
        self._client: Any = client
        self.keys = keys

    def now(self) -> float:
        """Redis time in seconds since 1970."""
        with redis_errors():
            seconds, microseconds = self._client.time()
        return float(seconds) + float(microseconds) / 1e6

    def request(self, request_id: str) -> Mapping[str, Any] | None:
        """Give a request by id: state, customer_key, mid, attempt, file, task_id, times in seconds since 1970."""
        with redis_errors():
            record = REQUEST.read(self._client.hgetall(self.keys.request(request_id)))
            due = self._client.zscore(self.keys.due, request_id)
        return _request(request_id, record, due) if "state" in record else None

    def asked(self, request_id: str) -> tuple[str, str] | None:
        """Give the state of a request and the digest of what it asked for; None for one that is not there."""
        with redis_errors():
            state, content = self._client.hmget(self.keys.request(request_id), "state", "c")
        return None if state is None else (state.decode(), (content or b"").decode())

    def handler_of(self, found: Mapping[str, Any]) -> str | None:
        """Give the id of the request that handles the file of a request now, or handled it last."""
        if not found.get("file"):
            return None
        with redis_errors():
            home = self._client.hget(self.keys.request(found["request_id"]), "home")
            of_definition = found["customer_key"] if home is None else home.decode()
            name = self.keys.name_of(SEEN, found["mid"], of_definition, found["file"]["fingerprint"])
            handler = self._client.get(name)
        return None if handler is None else str(handler.decode())

    def spelled(self, mid: str, customer_key: str) -> str:
        """Give the spelling of a CustomerKey under which the ledger knows its definition; else the one given."""
        with redis_errors():
            if self._client.exists(self.keys.definition(mid, customer_key)):
                return customer_key
            found = self._client.hget(self.keys.name_of(DEFINITIONS), f"{mid}:{fold_key(customer_key)}")
        return customer_key if found is None else str(found.decode())

    def places(self, request_id: str) -> list[str]:
        """Give the ids in the stream of the events of a request, oldest first; of very many the first and the newest.

        Empty for a request that was recorded by a version that did not note them.
        """
        with redis_errors():
            at, places, settled = self._client.hmget(self.keys.request(request_id), "at", "l", "settled_place")
        if not (at and places):
            return []
        found = dict.fromkeys([*places.decode().split(), *([settled.decode()] if settled else [])])
        return [_place(int(at), place) for place in found]

    def newest_places(self, request_ids: Sequence[str]) -> list[str]:
        """Give the id in the stream of the newest event of each request that has one, in one look.

        That one was settled is none: the end is.
        """
        with redis_errors(), self._client.pipeline(transaction=False) as pipe:
            for request_id in request_ids:
                pipe.hmget(self.keys.request(request_id), "at", "l")
            answers = pipe.execute()
        return [_place(int(at), places.decode().split()[-1]) for at, places in answers if at and places]

    def home(self, mid: str, customer_key: str) -> str:
        """Give the CustomerKey that a definition had first, under which the ledger keeps it, by the one it has now."""
        return self.homes([(mid, customer_key)])[0]

    def homes(self, definitions: Sequence[tuple[str, str]]) -> list[str]:
        """Give the same for several definitions, each a business unit with a CustomerKey, in one look."""
        # No MGET: the rights of a producer and of a reader do not have it.
        with redis_errors(), self._client.pipeline(transaction=False) as pipe:
            for mid, key in definitions:
                pipe.get(self.keys.name_of(RENAMED, mid, fold_key(key)))
            found = pipe.execute()
        return [key if home is None else home.decode() for (_, key), home in zip(definitions, found, strict=True)]

    def homes_of_names(self, named: Sequence[tuple[str, str]]) -> list[str]:
        """Give the same for what operators name definitions by, which may be their ObjectID."""
        with redis_errors(), self._client.pipeline(transaction=False) as pipe:
            for mid, name in named:
                pipe.get(self.keys.name_of(RENAMED, mid, fold_key(name)))
                pipe.get(self.keys.name_of(HOME, mid, name))
                pipe.get(self.keys.name_of(HOME, mid, fold_key(name)))
            found = pipe.execute()
        looked = zip(found[::3], found[1::3], found[2::3], strict=True)
        first = [next((home for home in each if home is not None), None) for each in looked]
        return [name if home is None else home.decode() for (_, name), home in zip(named, first, strict=True)]

    def definition(self, mid: str, customer_key: str) -> Mapping[str, Any]:
        """Say who holds a definition, the seconds left of lease and window, and which follow-ups wait, in order."""
        home = self.home(mid, customer_key)
        with redis_errors():
            record = DEFINITION.read(self._client.hgetall(self.keys.definition(mid, home)))
            waiting = self._client.zrange(self.keys.follow_ups(mid, home), 0, -1)
        now = self.now()
        return {
            "mid": mid,
            "customer_key": customer_key,
            "known": bool(record or waiting),
            "holder": record.get("holder"),
            "fence": record.get("fencing_token", 0),
            "lease_left": max(0.0, record.get("lease_until", 0.0) - now),
            "window_left": max(0.0, record.get("window_until", 0.0) - now),
            "window_by": record.get("window_by"),
            "window_age": now - since if (since := record.get("window_since")) else None,
            "consecutive_errors": record.get("consecutive_errors", 0),
            "waiting": [request_id.decode() for request_id in waiting],
        }

    def standing(
        self,
        mid: str,
        customer_key: str,
        file: FileInfo,
        request_id: str,
        event_id: str | None = None,
        after: Collection[str] = (),
        groups: Collection[str] = (),
    ) -> "Standing":
        """Give what a decision about a file of this definition depends on; `request_id` is the id that it would have.

        `after` are the definitions that its policy names so, `groups` its groups with a limit of imports.
        Several reads, one after the other: who decides meanwhile is not seen.
        """
        definition = self.definition(mid, customer_key)
        home = self.home(mid, customer_key)
        return _standing(
            own=self.request(request_id),
            **self._handled(mid, home, file, event_id),
            holder=self._named(definition["holder"]),
            first=self._first(definition["waiting"]),
            **{name: definition[name] for name in ("window_left", "window_age", "window_by")},
            **self._pause(mid, customer_key, home),
            completed=self._completed(mid, after),
            running={group: self._running(group) for group in groups},
            now=self.now(),
        )

    def _handled(self, mid: str, home: str, file: FileInfo, event_id: str | None) -> dict[str, Any]:
        """Give the requests that handled this file, and this event."""
        # The length of the key is part of the name: a colon in a key must not make it that of another event.
        of_event = (str(len(home.encode())), mid, home, event_id or "")
        with redis_errors():
            handled = self._client.get(self.keys.name_of(SEEN, mid, home, file.fingerprint))
            event = event_id and self._client.get(self.keys.name_of(EVENT, *of_event))
        return {"handled": self._named(handled), "event_handled": self._named(event)}

    def _running(self, group: str) -> int:
        """Count the places of a group that are taken or kept; those that places.lua would remove are none."""
        with redis_errors():
            found = self._client.zrange(self.keys.name_of(PLACES, group), 0, -1, withscores=True)
            with self._client.pipeline(transaction=False) as pipe:
                for name, _ in found:
                    pipe.hmget(self.keys.request(name.decode()), "state", "places", "turn")
                records = pipe.execute()
        kept_since, turn = (self.now() - PLACE_KEPT_SECONDS) * 1000, group.encode()
        return sum(
            (state in _HAS_PLACE and places is not None) or (kept_for == turn and since > kept_since)
            for (_, since), (state, places, kept_for) in zip(found, records, strict=True)
        )

    def _first(self, waiting: Collection[str]) -> Mapping[str, Any] | None:
        found = (self.request(each) for each in waiting)
        return next((each for each in found if each is not None and each["state"] == "deferred"), None)

    def _completed(self, mid: str, keys: Collection[str]) -> dict[str, float]:
        homes = dict(zip(keys, self.homes([(mid, key) for key in keys]), strict=True))
        with redis_errors():
            found = {key: self._client.get(self.keys.name_of(COMPLETED, mid, fold_key(homes[key]))) for key in keys}
        return {key: int(at) / 1000 for key, at in found.items() if at is not None}

    def pauses(self) -> Pauses:
        """Give the pauses that hold now."""
        with redis_errors():
            found = self._client.hgetall(self.keys.name_of(PAUSES))
        now = self.now()
        read = {scope.decode(): orjson.loads(text) for scope, text in sorted(found.items())}
        lasting = {scope: said for scope, said in read.items() if lasts(said, now)}
        named = [scope for scope in lasting if scope.startswith("key:")]
        homes = self.homes_of_names([(mid, name) for _, mid, name in (scope.split(":", 2) for scope in named)])
        return Pauses(lasting, dict(zip(named, homes, strict=True)))

    def _pause(self, mid: str, customer_key: str, home: str) -> dict[str, Any]:
        """Say whether an operator paused a definition, and for how long where that ends by itself."""
        pauses = self.pauses()
        scope = pauses.scope_of(mid, customer_key, home)
        end = None if scope is None else pauses.said[scope].get("until")
        return {"is_paused": scope is not None, "pause_left": None if end is None else end / 1000 - self.now()}

    def _named(self, found: bytes | str | None) -> Mapping[str, Any] | None:
        """Give a request, or its id alone where its record has gone."""
        if not found:
            return None
        request_id = found.decode() if isinstance(found, bytes) else found
        return self.request(request_id) or {"request_id": request_id}

    def overview(self) -> Mapping[str, int]:
        """Count the unfinished requests, those overdue by now, and the events kept in the stream."""
        now = int(self.now() * 1000)
        with redis_errors():
            return {
                "unfinished": self._client.zcard(self.keys.due),
                "overdue": self._client.zcount(self.keys.due, "-inf", now),
                "events": self._client.xlen(self.keys.stream),
            }

    def running(self) -> Running:
        """Count the workers and beats that live."""
        now = self.now()
        with redis_errors():
            found = self._client.zrange(self.keys.processes, 0, -1, withscores=True)
            last: Mapping[str, float] = LAST_SEEN.read(self._client.hgetall(self.keys.last_seen))
        ages = {kind: max(0.0, now - at) for kind, at in last.items() if kind not in {BROKER_AWAY, FULL}}
        return running([(name.decode(), now - at / 1000) for name, at in found], ages, now)

    def processes_heard(self) -> Mapping[str, Heard]:
        """Give the workers and beats of which something was heard within the last hour, by their ids."""
        now = self.now()
        with redis_errors():
            found = self._client.zrange(self.keys.processes, 0, -1, withscores=True)
        return heard((name.decode(), now - at / 1000) for name, at in found)

    def last_heartbeat(self) -> float | None:
        """Give when the last heartbeat of a worker, a beat or a watcher was taken; None without one."""
        with redis_errors():
            found = self._client.zrange(self.keys.processes, -1, -1, withscores=True)
        heard_at = [at / 1000 for _, at in found] + [each["seen_at"] for each in self.watchers()]
        return max(heard_at, default=None)

    def clocks(self) -> Mapping[str, tuple[float, float]]:
        """Give the processes whose clock is off: when each said so last, and by how many seconds it is ahead."""
        with redis_errors():
            said = self._client.hgetall(self.keys.name_of(CLOCKS))
        now = self.now() if said else 0.0
        return {name.decode(): clock_said(text) for name, text in said.items() if not is_old_clock(text, now)}

    def loss(self) -> Mapping[str, Any]:
        """Give the write loss that is in force; empty without one."""
        with redis_errors():
            return LOSS.read(self._client.hgetall(self.keys.name_of(LOSS)))

    def broker_away_since(self) -> float | None:
        """Say since when a beat cannot reach the broker; None where none has said so."""
        return self._last_seen().get(BROKER_AWAY)

    def full_since(self) -> float | None:
        """Give since when processes find that this server has no memory for what is new; None where none has."""
        return self._last_seen().get(FULL)

    def _last_seen(self) -> Mapping[str, float]:
        with redis_errors():
            found: Mapping[str, float] = LAST_SEEN.read(self._client.hgetall(self.keys.last_seen))
        return found

    def keys_of_definitions(self, mid: str) -> set[str]:
        """Give the CustomerKeys of definitions that requests of a business unit were for; of very many some.

        Of those none where the user of Redis may not look through the index.
        """
        name, place, found = self.keys.name_of(DEFINITIONS), 0, set[str]()
        with redis_errors(), suppress(NoPermissionError):
            for _ in range(_UNIT_LOOKS):
                place, part = self._client.hscan(name, place, match=f"{mid}:*", count=1000)
                found |= {key.decode() for key in part.values()}
                if not place:
                    break
        return found

    def has_definitions(self, mid: str) -> bool:
        """Tell whether the ledger has a definition of a business unit; True also where that is not found out.

        That is so where the user of Redis may not look through the index, and where it is too long for one look.
        """
        name, place = self.keys.name_of(DEFINITIONS), 0
        with redis_errors(), suppress(NoPermissionError):
            for _ in range(_UNIT_LOOKS):
                place, found = self._client.hscan(name, place, match=f"{mid}:*", count=1000)
                if found or not place:
                    return bool(found)
        return True

    def account(self) -> str:
        """Say which account the ledger belongs to; empty before its first worker."""
        with redis_errors():
            found = self._client.hget(self.keys.account, "account")
        return "" if found is None else str(found.decode())

    def longest_overdue(self) -> float:
        """Give the seconds since which the oldest due request waits; 0 without one."""
        with redis_errors():
            oldest = self._client.zrange(self.keys.due, 0, 0, withscores=True)
        return max(0.0, self.now() - oldest[0][1] / 1000) if oldest else 0.0

    def watchers(self) -> list[dict[str, Any]]:
        """Give what each live watcher says of its folders: their state, and the files that wait, since when."""
        with redis_errors():
            said: Mapping[bytes, bytes] = self._client.hgetall(self.keys.watchers)
        noted = [(watcher.decode(), *_noted_folders(text)) for watcher, text in sorted(said.items())]
        begun = self._begun({str(each.get("location")) for _, _, folders in noted for each in folders})
        return [_watcher(*each, begun) for each in noted]

    def _begun(self, locations: Collection[str]) -> "_Begun":
        """Read since when something waits in folders: by location, name and reason."""
        with redis_errors(), self._client.pipeline(transaction=False) as pipe:
            for each in sorted(locations):
                pipe.hgetall(self.keys.waits(each))
            waits = pipe.execute() if locations else []
        every = (item for found in waits for item in found.items())
        return {tuple(orjson.loads(field)): int(text.split()[0]) / 1000 for field, text in every}

    def folders_seen(self) -> list[SeenFolder]:
        """Give each folder that a watcher has read, by whom and when last; also those that are read now."""
        with redis_errors():
            found = self._client.zrange(self.keys.folders, 0, -1, withscores=True)
        return [_seen_folder(name.decode(), at) for name, at in found]

    def recent(self, mid: str, customer_key: str, count: int, among: int = 5000) -> list[Mapping[str, Any]]:
        """Give the newest `count` events of a definition, newest first, found among the last `among` events."""
        with redis_errors():
            entries = self._client.xrevrange(self.keys.stream, count=among)
        events = _events_in(entries)
        own = (e for e in events if e["subject"] == customer_key and e["data"].get("mid") == mid)
        return [event for event, _ in zip(own, range(count), strict=False)]

    def keys_in_events(self, mid: str | None = None, among: int = 5000) -> set[str]:
        """Give the CustomerKeys, of a business unit or of all, that the last `among` events name."""
        with redis_errors():
            entries = self._client.xrevrange(self.keys.stream, count=among)
        events = _events_in(entries)
        own = (e for e in events if e["data"].get("request_id") and mid in {None, e["data"].get("mid")})
        return {str(event["subject"]) for event in own}

    def request_of(self, mid: str, task_id: str) -> str | None:
        """Say which request a TaskResultID is assigned to."""
        with redis_errors():
            assigned = self._client.get(self.keys.task(mid, task_id))
        return None if assigned is None else str(assigned.decode())


def _standing(**found: Any) -> "Standing":
    from sfmc_import.outlook import Standing  # noqa: PLC0415 - what a program which only submits does not need

    return Standing(**found)


def _events_in(entries: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """Yield the entries that are events of ours; what another program put into the stream is passed over."""
    for _, fields in entries:
        with suppress(orjson.JSONDecodeError):
            event = orjson.loads(fields.get(b"event", b""))
            if isinstance(event, dict) and "subject" in event and isinstance(event.get("data"), dict):
                yield event


def _place(arrived: int, place: str) -> str:
    after, _, number = place.partition(".")
    return f"{arrived + int(after)}-{number or 0}"


def _seen_folder(name: str, at: float) -> SeenFolder:
    how, _, place = name.partition(" ")
    location, folder, host, mount = orjson.loads(place)
    return SeenFolder(location, folder, host, mount, name, at / 1000, how == "stopped")


_Begun = Mapping[tuple[Any, ...], float]
"""Since when something waits, also before its watcher was started anew: by folder, file and reason."""


def _noted_folders(said: bytes) -> tuple[float, list[dict[str, Any]]]:
    at, _, text = said.partition(b" ")
    return int(at) / 1000, orjson.loads(text)


def _watcher(name: str, seconds: float, folders: Iterable[dict[str, Any]], begun: _Begun) -> dict[str, Any]:
    return {"watcher": name, "seen_at": seconds, "folders": [_folder(each, seconds, begun) for each in folders]}


def _folder(noted: dict[str, Any], at: float, begun: _Begun) -> dict[str, Any]:
    parts = {name: [_dated(each, at) for each in noted[name]] for name in ("files", "definitions") if name in noted}
    folder, location = _dated(noted, at) | parts, noted.get("location")
    for each in folder.get("files", ()):
        _begin_earlier(each, begun.get((location, each.get("name"), each.get("reason"))))
    _begin_earlier(folder, begun.get((location, "", noted.get("state"))))
    return folder


def _begin_earlier(waiting: dict[str, Any], since: float | None) -> None:
    if since is not None and since < waiting.get("since", since):
        waiting["since"] = since


def _dated(noted: Mapping[str, Any], at: float) -> dict[str, Any]:
    """Put the time since when in the place of the age, of the last look, and of the next one."""
    times = {name: at - noted[age] for name, age in (("since", "age"), ("looked_at", "looked")) if age in noted}
    if "again" in noted:
        times["until"] = at + noted["again"]
    return {name: value for name, value in noted.items() if name not in {"age", "looked", "again"}} | times


# What a person sees of a request, in this order; the other fields are for the scripts.
_ALWAYS = ("state", "mid", "customer_key", "attempt", "accepted_at", "since", "due_at", "file")
_IF_KNOWN = (
    *("asked_key", "object_id", "task_id", "soap_request_id", "import_status", "held_by"),
    *("settled_by", "settled_operator", "settled_reason", "newer_import", "replays", "replayed_by"),
    *("source", "event_id", "reason", "not_before", "expires"),
)


def _request(request_id: str, record: Mapping[str, Any], due: float | None) -> dict[str, Any]:
    known = {"attempt": 0, "due_at": None if due is None else due / 1000, **record}
    shown = {"request_id": request_id} | {name: known.get(name) for name in _ALWAYS}
    return shown | {name: known[name] for name in _IF_KNOWN if name in known}

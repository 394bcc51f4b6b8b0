"""Reads the stream of events for our own commands, and shows one event as one line of text."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from sfmc_import import ends
from sfmc_import.advice import Command, shell_word
from sfmc_import.display import Coloured
from sfmc_import.retrying import CONNECT, NO_JITTER
from sfmc_import.states import FAILED, TERMINAL, UNSTARTED

BLOCK_MS = 1000
BATCH = 1000
AMONG = 50_000
"""Among how many of the newest events those of one definition or type are looked for."""

TYPE = "sfmc.import."
Event = dict[str, Any]
Entry = tuple[str, Event]


class EventStream:
    """Events of the stream as (id, CloudEvent); raises RedisError when Redis cannot be asked."""

    def __init__(self, client: Redis, name: str) -> None:
        self._client: Any = client
        self._name = name

    def newest(self) -> str:
        """Give the id of the newest entry, 0-0 of an empty stream."""
        entries = self._client.xrevrange(self._name, count=1)
        return entries[0][0].decode() if entries else "0-0"

    def after(self, position: str) -> Iterator[Entry]:
        """Yield what stands after an id, oldest first, up to now."""
        while entries := self._client.xrange(self._name, min=f"({position}", count=BATCH):
            position = entries[-1][0].decode()
            yield from entries_of_events(entries)

    def gap_after(self, position: str) -> str | None:
        """Give the id of the first event that is left, where events after this position were trimmed."""
        first = self._client.xrange(self._name, count=1)
        if not first or order(position) in {(0, 0), (0,)} or order(first[0][0].decode()) <= order(position):
            return None
        return str(first[0][0].decode()) if self._was_trimmed() else None

    def _was_trimmed(self) -> bool:
        """Tell whether entries are gone; so it seems too where the server (before 7.0) does not count, or not to us."""
        try:
            info = self._client.xinfo_stream(self._name)
        except ResponseError:
            return True
        return bool(info.get("entries-added", info["length"] + 1) > info["length"])

    def some_after(self, position: str, count: int) -> tuple[str, list[Entry]]:
        """Give what one reading of `count` entries after an id finds, oldest first, and the id to go on from."""
        entries = self._client.xrange(self._name, min=f"({position}", count=count)
        return (entries[-1][0].decode() if entries else position), list(entries_of_events(entries))

    def last(self, count: int, wanted: Callable[[Event], bool], position: str, among: int = AMONG) -> Iterator[Entry]:
        """Yield the newest `count` events that are wanted, among so many up to an id, oldest first."""
        found: deque[Entry] = deque(maxlen=count)
        border = position
        while len(found) < count and among > 0:
            among -= BATCH
            if not (entries := self._client.xrevrange(self._name, max=border, count=BATCH)):
                break
            chosen = [entry for entry in entries_of_events(entries) if wanted(entry[1])]
            found.extendleft(chosen[: count - len(found)])
            border = f"({entries[-1][0].decode()}"
        yield from found

    def backwards(self, count: int, having: bytes = b"") -> Iterator[Event]:
        """Yield those of the newest `count` events whose text has `having` in it, newest first."""
        border = "+"
        while count > 0 and (entries := self._client.xrevrange(self._name, max=border, count=min(count, BATCH))):
            likely = [each for each in entries if having in each[1].get(b"event", b"")]
            yield from (event for _, event in entries_of_events(likely))
            border = f"({entries[-1][0].decode()}"
            count -= len(entries)

    def at(self, ids: Sequence[str]) -> list[Entry]:
        """Give the entries with these ids that the stream still has, in one round trip."""
        with self._client.pipeline(transaction=False) as pipe:
            for each in ids:
                pipe.xrange(self._name, min=each, max=each)
            answers = pipe.execute()
        return [entry for answer in answers for entry in entries_of_events(answer)]

    def before(self, border: str, count: int) -> list[Entry]:
        """Give up to `count` entries that are not after `border` (an id, `(id` without it, or +), newest first."""
        return list(entries_of_events(self._client.xrevrange(self._name, max=border, count=count)))

    def live(
        self, position: str, on_outage: Callable[[str], None], over: Callable[[], bool] = lambda: False
    ) -> Iterator[Entry]:
        """Yield what comes after an id until `over`; an outage of Redis is reported once and waited for."""
        failures = 0
        while not over():
            try:
                entries = self._wait(position)
            except (RedisConnectionError, RedisTimeoutError) as error:
                failures += 1
                if failures == 1:
                    on_outage(str(error))
                time.sleep(CONNECT.pause(failures, NO_JITTER))
                continue
            failures = 0
            for raw in entries:
                position = raw[0].decode()
                yield from entries_of_events([raw])

    def _wait(self, position: str) -> list[Any]:
        answer = self._client.xread({self._name: position}, count=BATCH, block=BLOCK_MS)
        if not answer:
            return []
        # RESP3 answers with a mapping, RESP2 with pairs.
        return list(next(iter(answer.values()))[0] if isinstance(answer, dict) else answer[0][1])


def just_before(moment: float) -> str:
    """Give the id before any entry of this time (seconds since 1970): ids are milliseconds of Redis time."""
    return f"{int(moment * 1000) - 1}-0"


def entries_of_events(entries: Iterable[Any]) -> Iterator[Entry]:
    """Yield the entries that are events of ours; what another program put into the stream is passed over."""
    for name, fields in entries:
        try:
            event = orjson.loads(fields.get(b"event", b""))
        except orjson.JSONDecodeError:
            continue
        if _is_event(event):
            yield name.decode(), event


def order(position: str) -> tuple[int, ...]:
    """Give what ids of the stream are compared by."""
    return tuple(map(int, position.split("-")))


def _is_event(event: Any) -> bool:
    return (
        isinstance(event, dict)
        and all(isinstance(event.get(name), str) for name in ("type", "subject", "time"))
        and isinstance(event.get("data"), dict)
    )


COLOURS = {
    "completed": "green",
    "completed_with_errors": "yellow",
    "completed_empty": "yellow",
    "completed_suspicious": "red",
    "duplicate": "blue",
    "deferred": "blue",
    "retrying": "yellow",
    "reconciling": "yellow",
    "follow_timed_out": "yellow",
    "start_unknown": "red",
    "not_started": "blue",
    "rejected": "red",
    "gave_up": "red",
    "expired": "yellow",
    "cancelled": "blue",
    "settled": "green",
    "operator.paused": "yellow",
    "operator.resumed": "blue",
    "operator.forced": "yellow",
    "operator.definitions_refreshed": "blue",
    "operator.folder_forgotten": "blue",
    "operator.dead_letter_replayed": "blue",
    "operator.dead_letter_deleted": "yellow",
    "message_rejected": "red",
    "budget_warned": "yellow",
    "budget_spent": "red",
    "import_failed": "red",
}
EVENT_TEXT = {
    "task_id": "Task.ID {}",
    "import_status": "status {}",
    "settled_by": "settled by request {}",
    "why": "because of {}",
    "held_by": "held by request {}",
    "superseded_by": "superseded by request {}",
    "final": "taken up if that does not start",
    "instead_of": "taken up instead of request {}",
    "code": "code {}",
    "text": "{}",
    "window_opens": "window opens {}",
    "consecutive_errors": "errors in a row: {}",
    "expected": "expected {}",
    "found": "found {}",
    "expires": "deadline {}",
    "dead_letter": "dead letter {}",
    "candidates": "candidates {}",
    "operator": "operator {}",
    "reason": "reason: {}",
    "until": "until {}",
    "paused_by": "paused by {}",
    "waited_for": "it waited for {}",
    "used": "{} calls used",
    "budget": "of a budget of {}",
}
"""The fields of an event that a person wants to read, in this order, and how they are written."""

ROW_COUNTS = {"rows_total": "rows", "rows_successful": "ok", "rows_duplicated": "duplicated", "rows_failed": "failed"}
ENDS = frozenset(TERMINAL)


def kind(event: Mapping[str, Any]) -> str:
    """Give the type without its beginning, such as started or operator.paused."""
    return str(event["type"]).removeprefix(TYPE)


class Life:
    """Tells of each event of the stream, in order, whether it is about one request, and when the last one has come.

    A duplicate whose event is not final has not ended before the other request has started, or one of them otherwise.
    """

    def __init__(self, request_id: str) -> None:
        self._own = self.counts = request_id
        self._came_to_nothing = False
        self.is_over = False

    @property
    def counts_own(self) -> bool:
        """Whether its own end counts, and not that of a request in its place."""
        return self.counts == self._own

    def add(self, event: Event) -> bool:
        """Go one event on; True when it is one of the request."""
        data = event["data"]
        name = data.get("request_id")
        if name == self._own or data.get("instead_of") == self.counts:
            self.counts, self._came_to_nothing = name, False
        elif self._came_to_nothing:
            # What is taken up is the next event: nothing was.
            self.is_over = True
        if name == self.counts:
            self._judge(kind(event), data)
        return bool(name == self._own)

    def _judge(self, word: str, data: Mapping[str, Any]) -> None:
        is_own = self.counts_own
        if word == "duplicate" and data.get("final") is False:
            self.counts = str(data["held_by"])
        elif word in UNSTARTED and not is_own:
            self._came_to_nothing = True
        elif word in ENDS or (word == "started" and not is_own):
            self.is_over = True


def line(event: Mapping[str, Any]) -> list[Coloured]:
    """Give one line in parts: time (UTC), kind, CustomerKey, file and what else a person wants to know."""
    word = kind(event)
    clock = str(event.get("time", ""))[:19].replace("T", " ")
    data = event.get("data", {})
    rest = "  ".join([f"{event.get('subject', ''):<20}", *_file_name(data), *facts(data), *next_step(event)])
    return [Coloured(f"{clock} UTC  "), Coloured(f"{word:<21}", COLOURS.get(word)), Coloured(f"  {rest}")]


def left_out(before: Mapping[str, Any], after: Mapping[str, Any]) -> int:
    """Give how many events of a request stand between two of its life that are shown one after the other."""
    numbers = [str(each.get("id", "")).rpartition("/")[0].rpartition("/")[2] for each in (before, after)]
    if not all(number.isascii() and number.isdigit() for number in numbers):
        return 0
    return max(0, int(numbers[1]) - int(numbers[0]) - 1)


def facts(data: Mapping[str, Any]) -> list[str]:
    """Give the data of an event as short texts: what EVENT_TEXT has, then the row counts."""
    data = {**data, **_of_operator(data)}
    given = [text.format(_plain(data[name])) for name, text in EVENT_TEXT.items() if data.get(name) not in (None, "")]
    counts = [f"{data[name]} {word}" for name, word in ROW_COUNTS.items() if isinstance(data.get(name), int)]
    return given + ([", ".join(counts)] if counts else [])


def _of_operator(data: Mapping[str, Any]) -> dict[str, Any]:
    """Give what an operator said, for people; in other events the reason is that of the sender, the same in each."""
    if not data.get("operator"):
        return {"reason": None, "until": None}
    if "scope" not in data or data.get("paused_by"):
        # Who has settled it is named already.
        return {"why": None} if data.get("why") == "operator" else {}
    until = data.get("until")
    if not isinstance(until, int | float):
        return {"until": "it is resumed"}
    return {"until": f"{datetime.fromtimestamp(until / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"}


def start_command(customer_key: str, mid: str, file: Mapping[str, Any] | None) -> Command:
    """Give the command that starts a file."""
    return Command(("start", customer_key, "--mid", mid, *ends.path_option(file)))


def resolve_command(request_id: str) -> Command:
    """Give the command that says which run a request had; N is for its Task.ID."""
    return Command(("resolve", request_id, "--task-id", "N"))


def follow_command(task_id: str, mid: str) -> Command:
    """Give the command that follows a run."""
    return Command(("follow", task_id, "--mid", mid))


def next_step(event: Mapping[str, Any]) -> list[str]:
    """Give what a person needs to go on: the request, what to do, the commands; nothing where nothing is to do."""
    data, state = event.get("data", {}), kind(event)
    if state not in FAILED or not data.get("request_id"):
        return []
    code = None if data.get("code") is None else str(data["code"])
    request_id, task_id, mid = (str(data.get(name) or "") for name in ("request_id", "task_id", "mid"))
    names = {"request_id": request_id, "customer_key": str(event.get("subject", "")), "mid": mid, "task_id": task_id}
    subject = ends.Subject(**names, file=data.get("file"), state=state)
    # That it is dealt with is said later, where it is listed.
    helps = [each for each in ends.actions(state, code) if each != "settle"]
    found = ends.commands(helps, subject)
    return [f"request {shell_word(request_id)}; {ends.advice_for_end(state, code)}{ends.written(found)}"]


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {'unknown' if each is None else each}" for name, each in value.items())
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _file_name(data: Mapping[str, Any]) -> list[str]:
    file = data.get("file")
    return [str(file["name"])] if isinstance(file, Mapping) and file.get("name") else []

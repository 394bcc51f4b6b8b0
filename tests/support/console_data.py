"""What the pages of the console show in tests and pictures: a day that has passed, and requests in each state."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson

from sfmc_import.access import ReadAccess
from sfmc_import.faults import NotApplied, Rejected
from sfmc_import.ledger.opening import open_ledger
from sfmc_import.operations import actions
from sfmc_import.processes import Process
from sfmc_import.request import FileInfo, StartRequest
from sfmc_import.runs import Run
from sfmc_producers.sources.dead_letters import SourceDeadLetters
from tests.contract.ledger.scenario import Scenario

MID = "510001234"
HOUR_MS = 3_600_000
KEYS = ("Daily_Orders", "Daily_Contacts", "Prices_Hourly", "Stock_Levels", "Newsletter_Signups", "Loyalty_Points")


def past_day(access: ReadAccess, per_hour: int = 3, keys: tuple[str, ...] = KEYS) -> None:
    """Write the events of the last 24 hours as workers would have; before anything else is in the stream."""
    draw = random.Random(12)
    now = round(access.reader.now() * 1000) - 60_000
    moments = [now - HOUR_MS * hour - draw.randrange(HOUR_MS) for hour in range(23) for _ in range(per_hour)]
    events = [event for key in keys for at in moments for event in _run(draw, key, at + draw.randrange(1_000_000))]
    stream: Any = access.client
    with stream.pipeline(transaction=False) as pipe:
        for number, (at, event) in enumerate(sorted((each for each in events if each[0] < now), key=lambda it: it[0])):
            pipe.xadd(access.keys.stream, {"event": orjson.dumps(event)}, id=f"{at}-{number}")
        pipe.execute()


def _run(draw: random.Random, key: str, at: int) -> list[tuple[int, dict[str, Any]]]:
    request, task = str(UUID(int=draw.getrandbits(128))), f"{draw.randrange(10**6)}"
    started = at + draw.choice((80, 200, 900, 4000))
    steps = [
        (at, "accepted", {}),
        (started, "started", {"task_id": task, "matched": "reply"}),
        (started + 90_000, "completed", {"task_id": task, "rows_total": 730, "rows_successful": 730}),
    ]
    if key == KEYS[2] and draw.random() < 0.25:
        steps[2] = (started + 90_000, "import_failed", {"task_id": task, "consecutive_errors": 1})
    return [(moment, _event(request, word, key, moment, facts)) for moment, word, facts in steps]


def _event(request: str, word: str, key: str, at: int, facts: Mapping[str, Any]) -> dict[str, Any]:
    file = {"name": f"{key}.csv", "fingerprint": _fingerprint(request)}
    data = {"request_id": request, "customer_key": key, "mid": MID, "attempt": 1, "file": file, **facts}
    time = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    head = {"specversion": "1.0", "id": f"{request}/1/{word}", "source": f"/sfmc-import/{MID}"}
    more = {"subject": key, "time": time, "datacontenttype": "application/json", "data": data}
    return {**head, "type": f"sfmc.import.{word}", **more}


def _fingerprint(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:32]


def _finished(task: str, key: str, successful: int, errors: int) -> Run:
    status = "Error" if errors else "Completed"
    counts = {"successful": successful, "errors": errors, "duplicated": 0, "total": successful + errors}
    return Run(task_id=task, customer_key=key, status=status, **counts)


@dataclass
class _World:
    ledger: Any


class _Day:
    """Requests of one day, each brought to where it shall stand."""

    def __init__(self, access: ReadAccess) -> None:
        self.ledger = open_ledger(access.settings)
        self.scenario = Scenario(_World(self.ledger))  # type: ignore[arg-type]
        self.found: dict[str, str] = {}

    def arrives(self, word: str, key: str, name: str, **more: Any) -> str:
        """Record a request that is known by a word."""
        request = str(UUID(int=0x0199F3A2_0000_7000_8000_000000000001 + len(self.found)))
        file = FileInfo(location="/drop/in", name=name, size=48_120, version="1")
        self.scenario.accept(StartRequest(request_id=request, customer_key=key, mid=MID, file=file, **more))
        self.found[word] = request
        return request

    def ended(self) -> None:
        """One that completed, and those that failed."""
        scenario, ledger = self.scenario, self.ledger
        done = self.arrives("done", "Daily_Contacts", "contacts 2026-11-27.csv")
        scenario.start(done, "100001")
        scenario.ends(done, result=_finished("100001", "Daily_Contacts", 730, 0))
        failed = self.arrives("failed", "Prices_Hourly", "prices_2026-11-27_23.csv")
        scenario.start(failed, "100002")
        scenario.ends(failed, "import_failed", _finished("100002", "Prices_Hourly", 0, 12))
        rejected = self.arrives("rejected", "Stock_Levels", "stock.csv")
        ledger.reject(scenario.go(rejected), Rejected("43010", "The file name does not match the definition"))
        settled = self.arrives("settled", "Loyalty_Points", "points_2026-11-27.csv")
        ledger.reject(scenario.go(settled), Rejected("43000", "The definition is not active"))
        ledger.settle(settled, "ann", "the partner has sent the points again, see INC-4712")
        unknown = self.arrives("unknown", "Newsletter_Signups", "signups.csv")
        scenario.in_doubt(unknown, results_delay=0.0)
        ledger.record_start_unknown(scenario.look(unknown).lease, ("100002",), 0.0)

    def unfinished(self) -> None:
        """One that runs, and those that wait."""
        running = self.arrives("running", "Daily_Orders", "orders_2026-11-27.csv")
        self.scenario.start(running, "100003", window=4.0)
        self.ledger.progressed(self.scenario.run(running), "Processing", 20)
        self.scenario.claim(self.arrives("deferred", "Daily_Orders", "orders_2026-11-27_b.csv"))
        limited = NotApplied("17", "Rate Limited", account_wide=True)
        self.ledger.retry(self.scenario.go(self.arrives("retrying", "Loyalty_Points", "points.csv")), limited, 90)
        paused = self.arrives("paused", "Stock_Levels", "stock_2026-11-28.csv")
        # The first claim sees that nothing is in its way, the second one the pause.
        self.scenario.claim(paused)
        self.scenario.claim(paused)
        self.arrives("queued", "Daily_Contacts", "contacts 2026-11-28.csv", source="sftp-drop")
        self.arrives("bad_name", "Daily_Contacts", "<script>alert(1)</script>\u202egnp.csv")


def busy(access: ReadAccess) -> dict[str, str]:
    """Bring requests into many states with the real ledger; gives their ids by a word."""
    day = _Day(access)
    run_processes(access)
    day.ended()
    actions.pause(access, actions.scope_of(MID, "Stock_Levels"), "ann", "the warehouse sends wrong stock, see INC-4711")
    day.unfinished()
    for name in ("stray.csv", "report <final>.pdf"):
        seen = _fingerprint(name)
        file = {"location": "/drop/in", "name": name, "fingerprint": seen}
        detail = {"mid": MID, "file": file, "text": "no definition matches", "reason": "no_match"}
        day.ledger.report(seen, "unrouted", MID, name, detail)
    letters = SourceDeadLetters(access.broker, access.broker_keys)
    assert letters.add("drop", "record-1", b'{"no": "message"}', "customer_key is missing")
    return day.found


def run_processes(access: ReadAccess) -> None:
    """Let a worker and a beat live; it holds for seconds."""
    for kind in ("worker", "beat"):
        open_ledger(access.settings).present(Process(kind=kind, name="host", id=kind))  # type: ignore[arg-type]


def watch(access: ReadAccess) -> None:
    """Let watchers speak: of folders that are well, held up or not read, and of a source that is away."""
    ledger = open_ledger(access.settings)
    text = "Cannot read the definitions of business unit 510001234 (login_failed): the token endpoint refuses the login"
    held = {"reason": "unavailable", "age": 840.0, "text": text, "code": "login_failed"}
    growing = {"name": "contacts <new>.csv", "reason": "growing", "age": 4.0}
    waiting: dict[str, list[dict[str, Any]]] = {
        "/drop/old": [],
        "/drop/prices": [{**held, "name": name} for name in ("prices.csv", "prices_b.csv")],
        "/drop/in": [growing],
    }
    for number, (name, files) in enumerate(waiting.items()):
        folder = {"folder": name, "location": name, "state": "watched", "files": files, "more": 0}
        ledger.note_folders(f"web{number}:4711:a", [folder])
    source = {"folder": "source partner (sftp://sftp.example.com/in)", "location": "source:partner", "more": 0}
    text = "sftp.example.com:22 does not answer: no connection within 15 s"
    trouble = {"state": "unreachable", "age": 2520.0, "looked": 2580.0, "text": text, "files": []}
    ledger.note_folders("web3:4711:a", [source | trouble])
    access.client.hdel(access.keys.watchers, "web0:4711:a")


def many(access: ReadAccess, count: int, key: str = "Bulk") -> None:
    """Record many requests that wait."""
    ledger = open_ledger(access.settings)
    requests = (
        StartRequest(
            request_id=str(UUID(int=2**100 + number)),
            customer_key=f"{key}_{number % 500}",
            mid=MID,
            file=FileInfo(location="/in", name=f"{key}_{number}.csv", version="1"),
        )
        for number in range(count)
    )
    chunk: list[StartRequest] = []
    for each in requests:
        chunk.append(each)
        if len(chunk) == 500:
            ledger.accept_many(chunk)
            chunk = []
    ledger.accept_many(chunk)

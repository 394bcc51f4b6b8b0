"""What the pages of the console show in tests and pictures: a day that has passed, and requests in each state."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

import sfmc_transport.dead_letters as letters
from sfmc_import.access import ReadAccess
from sfmc_import.faults import NotApplied, Rejected
from sfmc_import.ledger.opening import open_ledger
from sfmc_import.operations import actions
from sfmc_import.policy import Policy
from sfmc_import.processes import Process
from sfmc_import.request import FileInfo, StartRequest
from sfmc_import.runs import Run
from tests.contract.ledger.scenario import Scenario

MID = "510001234"
HOUR_MS = 3_600_000
KEYS = ("Daily_Orders", "Daily_Contacts", "Prices_Hourly", "Stock_Levels", "Newsletter_Optins", "Loyalty_Points")


def past_day(access: ReadAccess, per_hour: int = 3, keys: tuple[str, ...] = KEYS) -> None:
    """Write the events of the last 24 hours as workers would have; before anything else is in the stream."""
    draw = random.Random(12)  # noqa: S311 - data for pictures
    now = round(access.reader.now() * 1000) - 60_000
    moments = [now - HOUR_MS * hour - draw.randrange(HOUR_MS) for hour in range(23) for _ in range(per_hour)]
    events = [event for key in keys for at in moments for event in _run(draw, key, at + draw.randrange(1_000_000))]
    stream: Any = access.client
    with stream.pipeline(transaction=False) as pipe:
        for number, (at, event) in enumerate(sorted((each for each in events if each[0] < now), key=lambda it: it[0])):
            pipe.xadd(access.keys.stream, {"event": orjson.dumps(event)}, id=f"{at}-{number}")
        pipe.execute()


def _run(draw: random.Random, key: str, at: int) -> list[tuple[int, dict[str, Any]]]:
    request = str(UUID(int=draw.getrandbits(128)))
    end = "import_failed" if key == KEYS[2] and draw.random() < 0.25 else "completed"
    steps = (("accepted", 0), ("started", draw.choice((80, 200, 900, 4000))), (end, 90_000))
    moments = [at]
    for _, later in steps[1:]:
        moments.append(moments[-1] + later)
    return [(moment, _event(request, word, key, moment)) for (word, _), moment in zip(steps, moments, strict=True)]


def _event(request: str, word: str, key: str, at: int) -> dict[str, Any]:
    data = {"request_id": request, "customer_key": key, "mid": MID, "attempt": 1, "file": {"name": f"{key}.csv"}}
    time = datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    head = {"specversion": "1.0", "id": f"{request}/1/{word}", "source": f"/sfmc-import/{MID}"}
    return {**head, "type": f"sfmc.import.{word}", "subject": key, "time": time, "data": data}


def _finished(task: str, key: str, successful: int, errors: int) -> Run:
    status = "Error" if errors else "Completed"
    counts = {"successful": successful, "errors": errors, "duplicated": 0, "total": successful + errors}
    return Run(task_id=task, customer_key=key, status=status, **counts)


@dataclass
class _World:
    ledger: Any


def busy(access: ReadAccess) -> dict[str, str]:
    """Bring requests into many states with the real ledger; gives their ids by a word."""
    ledger = open_ledger(access.settings)
    scenario = Scenario(_World(ledger))  # type: ignore[arg-type]
    for kind in ("worker", "beat"):
        ledger.present(Process(kind=kind, name="host", id=kind))  # type: ignore[arg-type]
    names = iter(range(1, 10_000))

    def arrives(key: str, name: str, **more: Any) -> str:
        request = str(UUID(int=0x0199F3A2_0000_7000_8000_000000000000 + next(names)))
        file = FileInfo(location="/drop/in", name=name, size=48_120, version="1")
        scenario.accept(StartRequest(request_id=request, customer_key=key, mid=MID, file=file, **more))
        return request

    found = {"done": arrives("Daily_Contacts", "contacts 2026-11-27.csv")}
    scenario.start(found["done"], "100001")
    scenario.ends(found["done"], result=_finished("100001", "Daily_Contacts", 730, 0))
    found["failed"] = arrives("Prices_Hourly", "prices_2026-11-27_23.csv")
    scenario.start(found["failed"], "100002")
    scenario.ends(found["failed"], "import_failed", _finished("100002", "Prices_Hourly", 0, 12))
    found["rejected"] = arrives("Stock_Levels", "stock.csv")
    ledger.reject(scenario.go(found["rejected"]), Rejected("43010", "The file name does not match the definition"))
    found["unknown"] = arrives("Newsletter_Optins", "optins.csv")
    scenario.in_doubt(found["unknown"], results_delay=0.0)
    ledger.record_start_unknown(scenario.look(found["unknown"]).lease, ("100002",), 0.0)
    found["running"] = arrives("Daily_Orders", "orders_2026-11-27.csv")
    scenario.start(found["running"], "100003", window=4.0)
    ledger.progressed(scenario.run(found["running"]), "Processing", 20)
    found["deferred"] = arrives("Daily_Orders", "orders_2026-11-27_b.csv")
    scenario.claim(found["deferred"])
    found["retrying"] = arrives("Loyalty_Points", "points.csv")
    ledger.retry(scenario.go(found["retrying"]), NotApplied("17", "Rate Limited", account_wide=True), 90)
    found["queued"] = arrives("Daily_Contacts", "contacts 2026-11-28.csv", source="sftp-drop")
    found["bad_name"] = arrives("Daily_Contacts", "<script>alert(1)</script>\u202egnp.csv")
    actions.pause(access, actions.scope_of(MID, "Stock_Levels"), "ann", "the warehouse sends wrong stock, see INC-4711")
    for name in ("stray.csv", "report <final>.pdf"):
        file = {"location": "/drop/in", "name": name, "fingerprint": f"fp-{name}"}
        ledger.report(f"fp-{name}", "unrouted", MID, "", {"file": file, "text": "no definition matches", "mid": MID})
    keys = access.broker_keys
    letters.add(access.broker, keys, b'{"no": "message"}', queue="imports", detail="customer_key is missing", once=("x", 60))
    return found


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


POLICY = Policy()

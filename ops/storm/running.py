"""One storm from its first process to what is left of it; judges nothing."""

import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import redis

from ops.local.valkey import Valkey, short_temporary_folder
from ops.storm import record
from ops.storm.agenda import Agenda
from ops.storm.fleet import Fleet, Member
from ops.storm.mischief import Mischief
from ops.storm.plan import QUICK, Plan
from ops.storm.producer import Order
from ops.storm.proxy import Proxy
from ops.storm.record import Remains
from ops.storm.sandbox import Sandbox, login

SKEW = Path(__file__).parent / "skew"
SKEWED_BY = ("", "7200", "-7200")
EVERY_SECONDS = 1.5
"""Between two deeds, on average."""

TICK = 0.05
SWEEP = b"imports.sweep"
Tell = Callable[[str], None]


@dataclass(slots=True)
class Aftermath:
    """What a storm left, and what was done in it."""

    remains: Remains
    deeds: Counter[str] = field(default_factory=Counter)
    fallen: Counter[str] = field(default_factory=Counter)
    faults: int = 0
    seconds: float = 0.0
    settled_in: float = 0.0


class Storm:
    """The processes of one plan; made by `begun`."""

    def __init__(self, plan: Plan, folder: Path, parts: ExitStack) -> None:
        self.plan, self.folder = plan, folder
        self.sandbox = parts.enter_context(Sandbox(folder / "sandbox"))
        self.valkey = parts.enter_context(Valkey(folder / "valkey", tcp=True))
        self.before_valkey = parts.enter_context(Proxy(self.valkey.port))
        self.before_sandbox = parts.enter_context(Proxy(self.sandbox.port))
        self.fleet = Fleet(folder, self._environment())
        parts.callback(self.fleet.close)
        self.agenda = Agenda()

    def _environment(self) -> dict[str, str]:
        config = self.folder / "sfmc-import.toml"
        config.write_text(self.plan.policy(), encoding="utf-8")
        secrets = self.folder / "secrets"
        secrets.mkdir()
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SFMC_")}
        own = {
            "SFMC_REDIS_URL": f"redis://127.0.0.1:{self.before_valkey.port}/0",
            "SFMC_TRANSPORT": self.plan.transport,
            "SFMC_CONFIG": str(config),
            "SFMC_SECRETS_DIR": str(secrets),
        }
        return {**kept, **QUICK, **own, **dict(login(self.before_sandbox.port))}

    def start_workers(self) -> None:
        """Start workers, every third ahead or behind by hours, and two beats."""
        program = ["-m", "worker.cli", "worker"] if self.plan.program == "product" else ["-m", "ops.storm.naive"]
        for number in range(self.plan.workers):
            skew = SKEWED_BY[number % len(SKEWED_BY)]
            wrong = {"STORM_CLOCK_SKEW": skew, "PYTHONPATH": str(SKEW)} if skew else {}
            heartbeat = str(self.folder / f"worker-{number}.heartbeat")
            self.fleet.add(f"worker-{number}", *program, SFMC_HEARTBEAT_FILE=heartbeat, **wrong)
        if self.plan.program == "product":
            for number in range(2):
                self.fleet.add(f"beat-{number}", "-m", "worker.cli", "beat")

    def start_producers(self) -> list[Member]:
        """Start the producers, half of them ours, half of them any Celery client."""
        return [self._producer(number) for number in range(self.plan.producers)]

    def _producer(self, number: int) -> Member:
        plan = self.plan
        count = len(range(number, plan.requests, plan.producers))
        way = "celery" if number % 2 or plan.program == "naive" else "submit"
        order = Order(
            way=way, seed=f"{plan.seed}/producer/{number}", count=count, seconds=plan.seconds, keys=plan.keys,
            journal=str(self.folder / f"producer-{number}.journal"),
            broker=f"redis://127.0.0.1:{self.before_valkey.port}/0",
        )  # fmt: skip
        return self.fleet.add(f"producer-{number}", "-m", "ops.storm.producer", json.dumps(asdict(order)))

    def rage(self, producers: list[Member]) -> Mischief:
        """Let faults and deeds loose until every producer has sent what it had to send."""
        chance = self.plan.chance("mischief")
        mischief = Mischief(self.fleet, self.valkey, self.before_valkey, self.before_sandbox, self.agenda, chance)
        following = 0.0
        while any(producer.is_running for producer in producers):
            if self.plan.fault_rate and time.monotonic() >= following:
                mischief.strike()
                following = time.monotonic() + chance.expovariate(1 / EVERY_SECONDS)
            self._tick(producers)
        return mischief

    def _tick(self, producers: list[Member]) -> None:
        for producer in producers:
            producer.busy = producer.busy or not producer.is_running
        self.agenda.do_due()
        self.fleet.raise_fallen()
        time.sleep(TICK)

    def settle(self, producers: list[Member]) -> float:
        """Wait until nothing is unfinished, then until nothing is queued; gives the seconds it took."""
        begun = time.monotonic()
        with self.client() as client:
            quiet = 0
            while time.monotonic() - begun < self.plan.end_within and quiet < 10:
                self._tick(producers)
                quiet = quiet + 1 if not self.agenda and self._is_done(client) else 0
            self._end_beats()
            last = time.monotonic() + min(15, self.plan.end_within)
            while time.monotonic() < last and any(record.read_left(client).values()):
                self._tick(producers)
        return time.monotonic() - begun

    def _end_beats(self) -> None:
        for member in self.fleet.members:
            if member.name.startswith("beat"):
                member.busy = True
                self.fleet.kill(member)

    @staticmethod
    def _is_done(client: Any) -> bool:
        messages = [*client.lrange(record.QUEUE, 0, -1), *client.hvals("unacked")]
        return not client.zcard(record.KEYS.due) and not any(one for one in messages if SWEEP not in one)

    def remains(self) -> Remains:
        """Read what is left."""
        with self.client() as client:
            return Remains(
                sent=list(record.read_journals(self.folder)),
                events=record.read_events(client),
                states=record.read_states(client),
                performs=record.read_performs(self.sandbox.performs()),
                left=record.read_left(client),
                endless=record.read_endless(client),
            )

    @contextmanager
    def client(self) -> Iterator["redis.Redis"]:
        """A client beside the proxy."""
        with redis.Redis.from_url(self.valkey.url, socket_timeout=30) as client:
            yield client


@contextmanager
def begun(plan: Plan, folder: Path | None) -> Iterator[Storm]:
    """Start Valkey, the sandbox and the proxies of a plan in `folder`, or in one that is gone afterwards."""
    with ExitStack() as parts:
        place = tempfile.TemporaryDirectory(prefix="sfmc-", dir=short_temporary_folder(), ignore_cleanup_errors=True)
        yield Storm(plan, Path(parts.enter_context(place)) if folder is None else folder, parts)


def run(plan: Plan, tell: Tell, folder: Path | None = None) -> Aftermath:
    """Carry a plan out and give what is left; logs and data stay in `folder` when one is given."""
    start = time.monotonic()
    with begun(plan, folder) as storm:
        storm.sandbox.define(plan)
        storm.start_workers()
        if plan.fault_rate:
            storm.sandbox.trouble(plan)
        producers = storm.start_producers()
        tell(f"storm {plan.seed}: {plan.requests} requests, {plan.workers} workers, {plan.producers} producers")
        mischief = storm.rage(producers)
        struck = storm.sandbox.calm()
        storm.before_valkey.clear()
        storm.before_sandbox.clear()
        tell("the producers have sent everything; no fault from now on")
        settled_in = storm.settle(producers)
        spent = time.monotonic() - start
        return Aftermath(storm.remains(), mischief.done, storm.fleet.fallen, struck, spent, settled_in)

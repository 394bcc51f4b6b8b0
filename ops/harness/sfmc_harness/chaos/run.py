"""Runs a plan: real processes, faults for a while, then what is left."""

import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
import redis

from sfmc_harness.chaos.faults import FaultInjector, Proxy
from sfmc_harness.chaos.final_state import QUEUE, FinalState, Reader, performs_of, read_journals
from sfmc_harness.chaos.messages import PRIORITIES, Order
from sfmc_harness.chaos.midnight import write_zone
from sfmc_harness.chaos.plan import QUICK, SECOND, Deployment, Midnight, Plan, Schedule
from sfmc_harness.chaos.processes import Process, ProcessGroup
from sfmc_harness.chaos.sandbox import Sandbox, login
from sfmc_import.request import UNACKED
from sfmc_local.redis_server import Valkey, short_temporary_folder
from sfmc_transport.queues import lists_of

SKEW = Path(__file__).parent / "skewed_clock"
SKEWED_BY = ("", "7200", "-7200")
EVERY_SECONDS = 1.5
"""Between two faults, on average."""

START_UP_SECONDS = 12.0
"""What workers take to start, about; midnight comes in the middle of what follows."""

READY_WITHIN = 60.0
"""Seconds that the workers may take to start; then the faults begin in any case."""

TICK = 0.05
WEIGH_SECONDS = 0.5
SWEEP = b"imports.sweep"
Say = Callable[[str], None]


@dataclass(slots=True)
class ChaosResult:
    """The final state of each deployment of a chaos run, and which faults it had; `peak_mb` is of one worker."""

    final_states: dict[Deployment, FinalState]
    midnight: Midnight
    injected: Counter[str] = field(default_factory=Counter)
    unexpected_ends: Counter[str] = field(default_factory=Counter)
    sandbox_faults: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    drained_in: float = 0.0
    peak_mb: float = 0.0


class ChaosRun:
    """The processes of one plan; made by `started`."""

    def __init__(self, plan: Plan, folder: Path, parts: ExitStack) -> None:
        self.plan, self.folder = plan, folder
        zones = folder / "zones"
        self.midnight = write_zone(zones, time.time() + START_UP_SECONDS + plan.seconds / 2)
        self.sandbox = parts.enter_context(Sandbox(folder / "sandbox", zones, self.midnight))
        self.valkey = parts.enter_context(Valkey(folder / "valkey", tcp=True))
        self.before_valkey = parts.enter_context(Proxy(self.valkey.port))
        self.before_sandbox = parts.enter_context(Proxy(self.sandbox.port))
        self.processes = ProcessGroup(folder, {**self._environment(), "PYTHONTZPATH": str(zones)})
        parts.callback(self.processes.close)
        self.schedule = Schedule()
        self.peak_mb, self._weighed = 0.0, 0.0

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
        """Start workers, every third ahead or behind by hours, and beats: two for the first deployment."""
        for number in range(self.plan.workers):
            skew = SKEWED_BY[number % len(SKEWED_BY)]
            wrong = {"CHAOS_CLOCK_SKEW": skew, "PYTHONPATH": str(SKEW)} if skew else {}
            heartbeat = str(self.folder / f"worker-{number}.heartbeat")
            settings = {"SFMC_HEARTBEAT_FILE": heartbeat, **wrong, **_settings_of(self._deployment(number))}
            self.processes.add(f"worker-{number}", *self._program(), **settings)
        if self.plan.program != "naive":
            for number, deployment in enumerate((*self.plan.deployments[:1], *self.plan.deployments)):
                self.processes.add(f"beat-{number}", "-m", "sfmc_import", "beat", **_settings_of(deployment))

    def _deployment(self, number: int) -> Deployment:
        """The deployment of a worker: every third, or the only other one, is of the second."""
        of_second = number % 3 == 1 or self.plan.workers == number + 1 == 1
        return self.plan.deployments[-1 if of_second else 0]

    def _program(self) -> list[str]:
        usual = {"product": ["-m", "sfmc_import", "worker"], "naive": ["-m", "sfmc_harness.chaos.naive_worker"]}
        return usual.get(self.plan.program, ["-m", "sfmc_harness.chaos.wrong_worker", self.plan.program])

    def await_workers(self) -> None:
        """Wait until every worker asks for messages, so that a slow machine does not shorten the run."""
        last = time.monotonic() + READY_WITHIN
        with self.client() as client:
            while client.info("clients")["blocked_clients"] < self.plan.workers and time.monotonic() < last:
                self.processes.restart_dead()
                time.sleep(TICK)

    def start_producers(self) -> list[Process]:
        """Start the producers, half of them ours, half of them any Celery client; every fourth for the second."""
        return [self._producer(number) for number in range(self.plan.producers)]

    def _producer(self, number: int) -> Process:
        plan = self.plan
        deployment = plan.deployments[-1 if number % 4 == 3 else 0]
        order = Order(
            way="celery" if number % 2 or plan.program == "naive" else "submit",
            seed=f"{plan.seed}/producer/{number}", count=len(range(number, plan.requests, plan.producers)),
            seconds=plan.seconds, file_specs=plan.file_specs,
            journal=str(self.folder / f"{deployment.name}-{number}.journal"),
            broker=f"redis://127.0.0.1:{self.before_valkey.port}/0",
            # Two deployments of a worker that knows no prefix share one queue.
            prefix="" if plan.program == "naive" else deployment.broker_prefix,
            midnight=self.midnight.at, days=self.midnight.days,
            features=[name for name in ("priorities", "times", "arguments", "refusals") if plan.has(name)],
            steps=tuple(range(PRIORITIES)) if number % 4 == 3 else None,
        )  # fmt: skip
        command = ("-m", "sfmc_harness.chaos.producer", json.dumps(asdict(order)))
        producer = self.processes.add(f"producer-{number}", *command, **_settings_of(deployment))
        # It ends when it has sent everything. Started anew it would send other files under the same ids after midnight.
        producer.busy = True
        return producer

    def inject_faults(self, producers: list[Process]) -> FaultInjector:
        """Inject faults until every producer has sent all its requests."""
        chance = self.plan.chance("injector")
        injector = FaultInjector(
            self.plan, self.processes, self.valkey, self.before_valkey, self.before_sandbox, self.sandbox,
            self.schedule, chance,
        )  # fmt: skip
        following = 0.0
        while any(producer.is_running for producer in producers):
            if self.plan.fault_rate and time.monotonic() >= following:
                injector.inject()
                following = time.monotonic() + chance.expovariate(1 / EVERY_SECONDS)
            self._tick()
        return injector

    def _tick(self) -> None:
        self.schedule.do_due()
        self.processes.restart_dead()
        if time.monotonic() >= self._weighed + WEIGH_SECONDS:
            self._weighed = time.monotonic()
            self.peak_mb = max(self.peak_mb, *self._weights())
        time.sleep(TICK)

    def _weights(self) -> Iterator[float]:
        """Megabytes of each worker."""
        yield 0.0
        for process in self.processes.all:
            if process.name.startswith("worker") and process.child is not None:
                with suppress(psutil.Error):
                    yield psutil.Process(process.child.pid).memory_info().rss / 1e6

    def drain(self) -> float:
        """Wait until no request is unfinished, then until no message is queued; return the seconds it took."""
        begun = time.monotonic()
        with self.client() as client:
            readers = [Reader(client, deployment) for deployment in self.plan.deployments]
            quiet = 0
            while time.monotonic() - begun < self.plan.end_within and quiet < 10:
                self._tick()
                quiet = quiet + 1 if not self.schedule and all(_is_done(reader) for reader in readers) else 0
            self._end_beats()
            last = time.monotonic() + min(15, self.plan.end_within)
            while time.monotonic() < last and any(any(reader.left().values()) for reader in readers):
                self._tick()
        return time.monotonic() - begun

    def _end_beats(self) -> None:
        for process in self.processes.all:
            if process.name.startswith("beat"):
                process.busy = True
                self.processes.kill(process)

    def final_states(self) -> dict[Deployment, FinalState]:
        """Read what is left."""
        shown = self.sandbox.performs()
        with self.client() as client:
            return {one: self._final_state(Reader(client, one), shown) for one in self.plan.deployments}

    def _final_state(self, reader: Reader, shown: list[dict[str, Any]]) -> FinalState:
        others = [one for one in self.plan.deployments if one != reader.deployment]
        foreign = {sent.request_id for other in others for sent in read_journals(self.folder, other)}
        return FinalState(
            sent=list(read_journals(self.folder, reader.deployment)),
            events=reader.events(),
            states=reader.states(),
            performs=performs_of(shown, reader.deployment.account_id),
            left=reader.left(),
            endless=reader.endless() if reader.deployment != SECOND else [],
            foreign=frozenset(foreign),
            waiting=reader.waiting(),
        )

    @contextmanager
    def client(self) -> Iterator["redis.Redis"]:
        """A client beside the proxy."""
        with redis.Redis.from_url(self.valkey.url, socket_timeout=30) as client:
            yield client


def _settings_of(deployment: Deployment) -> dict[str, str]:
    return {"SFMC_PREFIX": deployment.prefix, "SFMC_ACCOUNT_ID": deployment.account_id}


def _is_done(reader: Reader) -> bool:
    prefix = reader.deployment.broker_prefix
    lists = [message for key in lists_of(f"{prefix}{QUEUE}") for message in reader.client.lrange(key, 0, -1)]
    messages = [*lists, *reader.client.hvals(f"{prefix}{UNACKED}")]
    return not reader.left()["due"] and not any(one for one in messages if SWEEP not in one)


@contextmanager
def started(plan: Plan, folder: Path | None) -> Iterator[ChaosRun]:
    """Start Valkey, the sandbox and the proxies of a plan in `folder`, or in one that is gone afterwards."""
    with ExitStack() as parts:
        place = tempfile.TemporaryDirectory(prefix="sfmc-", dir=short_temporary_folder(), ignore_cleanup_errors=True)
        yield ChaosRun(plan, Path(parts.enter_context(place)) if folder is None else folder, parts)


def run(plan: Plan, say: Say, folder: Path | None = None) -> ChaosResult:
    """Carry a plan out and give what is left; logs and data stay in `folder` when one is given."""
    start = time.monotonic()
    with started(plan, folder) as chaos_run:
        chaos_run.sandbox.define(plan)
        chaos_run.start_workers()
        chaos_run.await_workers()
        if plan.fault_rate:
            chaos_run.sandbox.add_faults(plan)
        producers = chaos_run.start_producers()
        say(f"chaos run {plan.seed}: {plan.requests} requests, {plan.workers} workers, {plan.producers} producers")
        injector = chaos_run.inject_faults(producers)
        # What is wrong on purpose need not end well: its calls fail to the end, however late they come.
        failed_calls = chaos_run.sandbox.clear_faults() if plan.ends_well else Counter()
        chaos_run.before_valkey.clear()
        chaos_run.before_sandbox.clear()
        say("the producers have sent everything; no fault from now on")
        drained_in = chaos_run.drain()
        failed_calls += chaos_run.sandbox.clear_faults()
        spent = time.monotonic() - start
        return ChaosResult(
            chaos_run.final_states(), chaos_run.midnight, injector.done, chaos_run.processes.unexpected_ends,
            failed_calls, spent, drained_in, chaos_run.peak_mb,
        )  # fmt: skip

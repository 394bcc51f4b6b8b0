"""Runs a plan: real processes, faults for a while, then the count of broken promises; the command line too."""

import json
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import click
import redis

from sfmc_harness.chaos import verdict
from sfmc_harness.chaos.faults import FaultInjector, Proxy
from sfmc_harness.chaos.plan import QUICK, Plan, Schedule
from sfmc_harness.chaos.processes import ChaosError, Process, ProcessGroup, Sandbox, login
from sfmc_harness.chaos.producer import Order
from sfmc_harness.chaos.verdict import SEEN_FROM_OUTSIDE, Checker, FinalState, Violation
from sfmc_import.request import UNACKED
from sfmc_local.redis_server import Valkey, short_temporary_folder
from sfmc_transport.queues import lists_of

SKEW = Path(__file__).parent / "skewed_clock"
SKEWED_BY = ("", "7200", "-7200")
EVERY_SECONDS = 1.5
"""Between two faults, on average."""

READY_WITHIN = 60.0
"""Seconds that the workers may take to start; then the faults begin in any case."""

TICK = 0.05
SWEEP = b"imports.sweep"
Say = Callable[[str], None]


@dataclass(slots=True)
class ChaosResult:
    """The final state of a chaos run, and which faults it had."""

    final_state: FinalState
    injected: Counter[str] = field(default_factory=Counter)
    unexpected_ends: Counter[str] = field(default_factory=Counter)
    sandbox_faults: int = 0
    seconds: float = 0.0
    drained_in: float = 0.0


class ChaosRun:
    """The processes of one plan; made by `started`."""

    def __init__(self, plan: Plan, folder: Path, parts: ExitStack) -> None:
        self.plan, self.folder = plan, folder
        self.sandbox = parts.enter_context(Sandbox(folder / "sandbox"))
        self.valkey = parts.enter_context(Valkey(folder / "valkey", tcp=True))
        self.before_valkey = parts.enter_context(Proxy(self.valkey.port))
        self.before_sandbox = parts.enter_context(Proxy(self.sandbox.port))
        self.processes = ProcessGroup(folder, self._environment())
        parts.callback(self.processes.close)
        self.schedule = Schedule()

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
        program = (
            ["-m", "sfmc_import", "worker"]
            if self.plan.program == "product"
            else ["-m", "sfmc_harness.chaos.naive_worker"]
        )
        for number in range(self.plan.workers):
            skew = SKEWED_BY[number % len(SKEWED_BY)]
            wrong = {"CHAOS_CLOCK_SKEW": skew, "PYTHONPATH": str(SKEW)} if skew else {}
            heartbeat = str(self.folder / f"worker-{number}.heartbeat")
            self.processes.add(f"worker-{number}", *program, SFMC_HEARTBEAT_FILE=heartbeat, **wrong)
        if self.plan.program == "product":
            for number in range(2):
                self.processes.add(f"beat-{number}", "-m", "sfmc_import", "beat")

    def await_workers(self) -> None:
        """Wait until every worker asks for messages, so that a slow machine does not shorten the run."""
        last = time.monotonic() + READY_WITHIN
        with self.client() as client:
            while client.info("clients")["blocked_clients"] < self.plan.workers and time.monotonic() < last:
                self.processes.restart_dead()
                time.sleep(TICK)

    def start_producers(self) -> list[Process]:
        """Start the producers, half of them ours, half of them any Celery client."""
        return [self._producer(number) for number in range(self.plan.producers)]

    def _producer(self, number: int) -> Process:
        plan = self.plan
        count = len(range(number, plan.requests, plan.producers))
        way = "celery" if number % 2 or plan.program == "naive" else "submit"
        order = Order(
            way=way, seed=f"{plan.seed}/producer/{number}", count=count, seconds=plan.seconds, keys=plan.keys,
            journal=str(self.folder / f"producer-{number}.journal"),
            broker=f"redis://127.0.0.1:{self.before_valkey.port}/0",
        )  # fmt: skip
        return self.processes.add(f"producer-{number}", "-m", "sfmc_harness.chaos.producer", json.dumps(asdict(order)))

    def inject_faults(self, producers: list[Process]) -> FaultInjector:
        """Inject faults until every producer has sent all its requests."""
        chance = self.plan.chance("injector")
        injector = FaultInjector(
            self.processes, self.valkey, self.before_valkey, self.before_sandbox, self.schedule, chance
        )
        following = 0.0
        while any(producer.is_running for producer in producers):
            if self.plan.fault_rate and time.monotonic() >= following:
                injector.inject()
                following = time.monotonic() + chance.expovariate(1 / EVERY_SECONDS)
            self._tick(producers)
        return injector

    def _tick(self, producers: list[Process]) -> None:
        for producer in producers:
            producer.busy = producer.busy or not producer.is_running
        self.schedule.do_due()
        self.processes.restart_dead()
        time.sleep(TICK)

    def drain(self, producers: list[Process]) -> float:
        """Wait until no request is unfinished, then until no message is queued; return the seconds it took."""
        begun = time.monotonic()
        with self.client() as client:
            quiet = 0
            while time.monotonic() - begun < self.plan.end_within and quiet < 10:
                self._tick(producers)
                quiet = quiet + 1 if not self.schedule and self._is_done(client) else 0
            self._end_beats()
            last = time.monotonic() + min(15, self.plan.end_within)
            while time.monotonic() < last and any(verdict.read_left(client).values()):
                self._tick(producers)
        return time.monotonic() - begun

    def _end_beats(self) -> None:
        for process in self.processes.all:
            if process.name.startswith("beat"):
                process.busy = True
                self.processes.kill(process)

    @staticmethod
    def _is_done(client: Any) -> bool:
        lists = [message for key in lists_of(verdict.QUEUE) for message in client.lrange(key, 0, -1)]
        messages = [*lists, *client.hvals(UNACKED)]
        return not client.zcard(verdict.KEYS.due) and not any(one for one in messages if SWEEP not in one)

    def final_state(self) -> FinalState:
        """Read what is left."""
        with self.client() as client:
            return FinalState(
                sent=list(verdict.read_journals(self.folder)),
                events=verdict.read_events(client),
                states=verdict.read_states(client),
                performs=verdict.read_performs(self.sandbox.performs()),
                left=verdict.read_left(client),
                endless=verdict.read_endless(client),
            )

    @contextmanager
    def client(self) -> Iterator["redis.Redis"]:
        """A client beside the proxy."""
        with redis.Redis.from_url(self.valkey.url, socket_timeout=30) as client:
            yield client


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
        # The naive worker need not end well: its calls fail to the end, however late a slow machine makes them.
        failed_calls = chaos_run.sandbox.clear_faults() if plan.program == "product" else 0
        chaos_run.before_valkey.clear()
        chaos_run.before_sandbox.clear()
        say("the producers have sent everything; no fault from now on")
        drained_in = chaos_run.drain(producers)
        failed_calls += chaos_run.sandbox.clear_faults()
        spent = time.monotonic() - start
        return ChaosResult(
            chaos_run.final_state(), injector.done, chaos_run.processes.unexpected_ends, failed_calls, spent, drained_in
        )


SHOWN_VIOLATIONS = 20
KINDS = ("double", "two at once", "inside the window", "lost", "unjust unknown", "untrue",
         "impossible event", "state without event", "left over")  # fmt: skip


def summary(plan: Plan, after: ChaosResult, checker: Checker, violations: list[Violation]) -> dict[str, Any]:
    """The outcome as JSON can hold it."""
    final_state, found, waits = after.final_state, Counter(violation.kind for violation in violations), checker.waits()
    return {
        "seed": plan.seed,
        "requests": {
            "sent": len(final_state.sent),
            "different": len({sent.request_id for sent in final_state.sent}),
            "recorded": len(checker.by_request),
        },
        "performs": len(final_state.performs),
        "ended": dict(sorted(checker.outcomes().items())),
        "violations": {kind: found[kind] for kind in KINDS},
        "examples": [f"{violation.kind}: {violation.text}" for violation in violations[:SHOWN_VIOLATIONS]],
        "injected_faults": dict(sorted(after.injected.items())),
        "sandbox_faults": after.sandbox_faults,
        "ended_by_themselves": dict(after.unexpected_ends),
        "first_decision_seconds": {"median": _at(waits, 0.5), "p99": _at(waits, 0.99), "longest": _at(waits, 1.0)},
        "seconds": round(after.seconds, 1),
        "drained_in_seconds": round(after.drained_in, 1),
    }


def _at(ordered: list[float], share: float) -> float:
    return round(ordered[min(int(len(ordered) * share), len(ordered) - 1)], 3) if ordered else 0.0


def lines(outcome: dict[str, Any]) -> Iterator[str]:
    """The outcome as a table, one line at a time; the seed comes last."""
    rows: dict[str, dict[str, Any]] = {
        "requests": {**outcome["requests"], "Performs applied": outcome["performs"]},
        "ended as": outcome["ended"],
        "injected faults": {
            **outcome["injected_faults"],
            "failed calls in the sandbox": outcome["sandbox_faults"],
        },
        "ended by themselves": outcome["ended_by_themselves"],
        "first decision after, s": outcome["first_decision_seconds"],
        "seconds": {"all": outcome["seconds"], "draining": outcome["drained_in_seconds"]},
        "broken promises": outcome["violations"],
    }
    for title, numbers in rows.items():
        yield title
        yield from (f"    {name:<34}{number:>10}" for name, number in numbers.items())
    yield from outcome["examples"]
    yield f"seed {outcome['seed']}"


REQUESTS_PER_SECOND = 8.0
SHORT_REQUESTS = 80
REQUESTS = 300


EXAMPLES = """\b
Examples:
  python3 ops/dev.py chaos                     300 requests, about a minute
  python3 ops/dev.py chaos --requests 10000    the long run
  python3 ops/dev.py chaos --short --seed 7    as the tests run it
  python3 ops/dev.py chaos --control naive     shows that doubles are found
"""


@click.command(epilog=EXAMPLES)
@click.option(
    "--requests", type=click.IntRange(1), help=f"How many requests are sent [{REQUESTS}; short: {SHORT_REQUESTS}]."
)
@click.option(
    "--seconds", type=click.FloatRange(1), help="How long the producers take; they send about 8 requests a second."
)
@click.option(
    "--seed",
    type=int,
    help="Same seed, same requests and faults at about the same moments [a new one].",
)
@click.option("--workers", type=click.IntRange(1, 32), default=3, show_default=True)
@click.option("--producers", type=click.IntRange(1, 32), default=4, show_default=True)
@click.option("--fault-rate", type=click.FloatRange(0, 1), default=0.2, show_default=True, help="0: no faults.")
@click.option("--transport", type=click.Choice(["reliable", "stock"]), default="reliable", show_default=True)
@click.option(
    "--control", type=click.Choice(["naive"]), help="Run a naive worker, which must fail, instead of the product."
)
@click.option("--short", is_flag=True, help="Few requests, for the tests.")
@click.option("--logs", type=click.Path(file_okay=False, path_type=Path), help="An empty folder for logs and data.")
@click.option("--json", "as_json", is_flag=True, help="The outcome as JSON.")
def chaos(
    requests: int | None, seconds: float | None, seed: int | None, *, short: bool, as_json: bool,
    control: str | None, logs: Path | None, **rest: float | str,
) -> None:  # fmt: skip
    """Inject faults into the whole system, let it finish, and count. Exit code 1: a promise was broken."""
    usual = SHORT_REQUESTS if short else REQUESTS
    count = requests or (int(seconds * REQUESTS_PER_SECOND) if seconds else usual)
    plan = Plan(
        seed=random.SystemRandom().randrange(10**6) if seed is None else seed,
        requests=count,
        seconds=seconds or count / REQUESTS_PER_SECOND,
        program="naive" if control else "product",
        **rest,  # type: ignore[arg-type]
    )
    try:
        after = run(plan, lambda line: None if as_json else click.echo(line, err=True), prepared(logs))
    except ChaosError as error:
        raise click.ClickException(str(error)) from error
    checker = Checker(after.final_state, plan.windows)
    # The naive worker keeps no ledger: only what can be seen from outside counts.
    violations = [
        violation for violation in checker.violations() if control is None or violation.kind in SEEN_FROM_OUTSIDE
    ]
    outcome = summary(plan, after, checker, violations)
    click.echo(json.dumps(outcome) if as_json else "\n".join(lines(outcome)))
    raise SystemExit(1 if violations else 0)


def prepared(logs: Path | None) -> Path | None:
    """Make the folder for logs; raises click.UsageError when something is in it."""
    if logs is None:
        return None
    logs.mkdir(parents=True, exist_ok=True)
    if any(logs.iterdir()):
        raise click.UsageError(f"--logs: {logs} is not empty; give a new folder")
    return logs.absolute()

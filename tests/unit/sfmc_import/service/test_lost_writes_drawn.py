"""Whatever Redis loses and whoever starts the definition too: no request completes with the run of an older file."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from sfmc_import.ledger import LedgerSettings
from sfmc_import.ledger.loss_keys import SERVER
from sfmc_import.request import FileInfo
from sfmc_import.run_dates import CLOCKS_APART
from sfmc_import.runs import Definition
from tests.support.ledger_world import CLOCK_KEY, FakeRedisWorld
from tests.support.system import System
from tests.unit.sfmc_import.service.conftest import KEY, request
from tests.unit.sfmc_import.service.test_forgotten_starts import us_date

SEEDS = (*range(8), 29)
"""Seed 29 finds a run that is taken without a proof, and a request that passes for one of before the loss."""


@dataclass(frozen=True)
class Began:
    """A run: the version of the file that it read, when it began by the clock of Redis, and whose it is."""

    version: int
    at: float
    is_foreign: bool


class Story:
    """Files of one name, each with a request, in a system whose Redis comes back with an earlier state."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.system = System(FakeRedisWorld(LedgerSettings()), Definition(customer_key=KEY))
        self.apart = self.dice.uniform(-250, 250)
        self.version, self.is_foreign, self.runs = 0, False, dict[str, Began]()
        self.recorded, self.kept = dict[int, float](), dict[bytes, bytes]()
        self._apply = self.system.cloud._apply
        self.system.cloud._apply = self.begin

    def now(self) -> float:
        return self.system.world.now_ms() / 1000

    def begin(self, mid: str, key: str) -> str:
        """A run reads the file that lies there; its date is one of the clock of Marketing Cloud."""
        task_id = self._apply(mid, key)
        kept = self.system.cloud._runs[task_id]
        kept.row = replace(kept.row, start_date=us_date(self.now() + self.apart))
        self.runs[task_id] = Began(self.version, self.now(), self.is_foreign)
        return task_id

    def arrives(self) -> None:
        self.version += 1
        self.recorded[self.version] = self.now()
        self.ask(self.version)

    def ask(self, version: int) -> None:
        """A source announces a file, also one that Redis has forgotten."""
        file = FileInfo(location="/in", name="k.csv", size=1, version=str(version))
        self.system.submit(request(f"r{version}", file=file, force=version % 3 == 0))

    def starts_elsewhere(self) -> None:
        self.is_foreign = True
        self.system.cloud.started_elsewhere(KEY)
        self.is_foreign = False

    def saves(self) -> None:
        client = self.system.world.client
        self.kept = {key: client.dump(key) for key in client.scan_iter("*") if key != CLOCK_KEY.encode()}

    def loses(self) -> None:
        """Redis comes back as it was saved, on a server that began just now or was a replica for long."""
        world = self.system.world
        world.client.set(world.keys.name_of(SERVER), "before")
        if self.kept:
            world.client.delete(*(key for key in world.client.scan_iter("*") if key != CLOCK_KEY.encode()))
            for key, text in self.kept.items():
                world.client.restore(key, 0, text)
            world.client.set(world.keys.name_of(SERVER), "before")
        self.passes(5)
        if self.dice.random() < 0.5:
            # A source is faster than the workers.
            self.arrives()
            self.passes(self.dice.choice([0, 2]))
        world.ledger.server.note(str(self.dice.random()), self.dice.choice([1, 9000]), world.client.execute_command)
        self.kept = {}
        for version in self.recorded:
            if self.dice.random() < 0.5:
                self.ask(version)

    def passes(self, seconds: float) -> None:
        self.system.world.advance(seconds)

    def works(self) -> None:
        self.system.sweep()
        self.system.work()
        self.passes(self.dice.choice([1, 1, 20, 100, 400]))

    def goes_on(self) -> None:
        steps = [self.arrives, self.saves, self.starts_elsewhere, self.loses, *[self.works] * 5]
        for _ in range(self.dice.randrange(8, 30)):
            self.dice.choice(steps)()
        self.system.live()

    def untrue(self) -> Iterator[str]:
        """Requests that have ended with the run of an older file."""
        for version in self.recorded:
            record = self.system.world.record(f"r{version}")
            run = self.runs.get(record.get("task", ""))
            if run is not None and run.version < version and not self.may_be(run, version):
                yield f"r{version} is {record['state']} with {record['task']}, which read version {run.version}"

    def may_be(self, run: Began, version: int) -> bool:
        """What another program began minutes before cannot be known from a start, for clocks may be apart."""
        return run.is_foreign and run.at > self.recorded[version] - 2 * CLOCKS_APART


@pytest.mark.parametrize("seed", SEEDS)
def test_no_request_ends_with_the_run_of_an_older_file(seed: int):
    story = Story(seed)
    story.goes_on()

    assert list(story.untrue()) == []

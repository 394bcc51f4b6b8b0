"""A producer that is killed at any exchange with Redis or the SFTP server: the next one leads to one whole file."""

import json
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from sfmc_producers.delivery.sftp_upload import BLOCK
from tests.integration.delivery.dying_producer import produce
from tests.integration.delivery.world import KEYS, World, random_file
from tests.support.sftp_server import PASSWORD

pytestmark = pytest.mark.timeout(300)
PROGRAM = "tests.integration.delivery.dying_producer"


class Producers:
    """Kills a producer at a point, then lets another do the same work from the beginning."""

    def __init__(self, world: World, url: str, child: "subprocess.Popen[str]") -> None:
        self._world, self._url, self._child = world, url, child

    def dies_at(self, point: int) -> bool:
        """Whether the point was reached; else the file is delivered."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(f"{point}\n")
        self._child.stdin.flush()
        answer = self._child.stdout.readline().strip()
        assert answer in {"died", "done"}
        return answer == "died"

    def recover(self) -> None:
        """Deliver as after a restart, when the lease of the dead one has ended."""
        world = self._world
        world.let_leases_end()
        self._produce(world.path)

    def _produce(self, path: Path, number: int = 1) -> Any:
        world = self._world
        return produce(self._url, world.options, PASSWORD, path, world.server.root.parent, number, name=world.path.name)

    def check_the_next_file(self, point: int) -> None:
        """Require that a newer file of the name waits for the run of this one, and that this one never comes again."""
        world, there = self._world, self._world.place / self._world.path.name
        newer = world.path.with_name("newer.csv")
        newer.write_bytes(b"newer")
        assert "r1 (accepted)" in str(self._produce(newer, 2)), f"point {point}"
        assert there.read_bytes() == world.path.read_bytes(), f"point {point}"
        world.client.hset(KEYS.request("r1"), "state", "completed")
        assert self._produce(newer, 2) == "r2", f"point {point}"
        assert self._produce(world.path) == "r1, known", f"point {point}"
        assert there.read_bytes() == b"newer", f"point {point}"

    def check(self, point: int) -> None:
        """Require one accepted request, and the right bytes each time that it was submitted."""
        world = self._world
        events = [json.loads(fields[b"event"]) for _, fields in world.client.xrange("sfmc-import:events")]
        assert [each["type"] for each in events] == ["sfmc.import.accepted"], f"point {point}"
        copies = sorted((world.server.root.parent / "copies").iterdir())
        assert copies, f"point {point}"
        assert {each.read_bytes() for each in copies} == {world.path.read_bytes()}, f"point {point}"
        assert world.names == [world.path.name], f"point {point}"

    def forget(self) -> None:
        """Begin anew."""
        world = self._world
        world.client.flushall()
        for each in [*world.place.iterdir(), *(world.server.root.parent / "copies").iterdir()]:
            each.unlink()


@pytest.fixture
def producers(world, redis_server):
    random_file(world.path, 3 * BLOCK + 1000)
    (world.server.root.parent / "copies").mkdir()
    given = {
        "redis": redis_server.url,
        "options": json.loads(world.options.model_dump_json()),
        "password": PASSWORD,
        "path": str(world.path),
        "look": str(world.server.root.parent),
    }
    with subprocess.Popen(
        [sys.executable, "-m", PROGRAM, json.dumps(given)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            yield Producers(world, redis_server.url, child)
        finally:
            child.stdin.close()
            child.wait(30)


STEP = 8
"""A case tries every eighth point of the way; the test command has one case, the others run nightly."""

OLDER = {"same-size-there": True, "new": False}
CASES = [pytest.param(OLDER[name], first, id=f"{name}-{first}") for name in OLDER for first in range(1, STEP + 1)]


@pytest.mark.parametrize(
    ("older", "first"),
    [CASES[0], *(pytest.param(*case.values, id=case.id, marks=pytest.mark.nightly) for case in CASES[1:])],
)
def test_wherever_a_producer_is_killed_the_next_one_leads_to_one_whole_file_and_one_request(
    producers, world, older, first
):
    """An older file of the same size under the name must never be taken for the new one."""
    for point in count(first, STEP):
        if older:
            (world.place / world.path.name).write_bytes(bytes(3 * BLOCK + 1000))
        died = producers.dies_at(point)
        if died:
            producers.recover()
        producers.check(point)
        producers.check_the_next_file(point)
        if not died:
            break
        producers.forget()
    assert point > 50

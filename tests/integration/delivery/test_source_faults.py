"""The source file changes, vanishes or hangs while it is uploaded: nothing of it is submitted, and others go on."""

import os
import threading
from pathlib import Path

import pytest

from sfmc_producers.content_errors import ContentChangedError, ContentUnavailableError
from sfmc_producers.delivery.names import temporary_name
from sfmc_producers.delivery.records import Held
from sfmc_producers.delivery.sftp_upload import READ
from tests.integration.delivery.world import FINGERPRINT, World, digest, on_call, random_file
from tests.support.waiting import eventually

BIG = 4 * READ
"""So much that its end is read long after its first block is written."""


@pytest.fixture(autouse=True)
def big(world) -> None:
    random_file(world.path, BIG)


def rewrite(path: Path) -> None:
    path.write_bytes(b"x" * BIG)


def rewrite_with_its_old_time(path: Path) -> None:
    before = path.stat()
    rewrite(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def shrink(path: Path) -> None:
    os.truncate(path, 10)


def replace(path: Path) -> None:
    rewrite(path.with_name("new"))
    path.with_name("new").replace(path)


CHANGES = [rewrite, rewrite_with_its_old_time, grow, shrink, replace, Path.unlink]


@pytest.mark.parametrize("block", [0, 3])
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_file_that_changes_while_it_is_uploaded_is_not_submitted_and_leaves_nothing(world, change, block) -> None:
    job = world.job()
    world.server.before = on_call("write", block, lambda: change(world.path))
    with pytest.raises(ContentChangedError):
        world.deliver(job)
    assert (world.submitted, world.names) == ([], [])


def test_a_file_that_is_gone_before_it_is_uploaded_leaves_nothing(world) -> None:
    job = world.job()
    world.begin()
    (world.place / temporary_name(FINGERPRINT)).write_bytes(world.path.read_bytes()[:1000])
    world.path.unlink()
    with pytest.raises(FileNotFoundError):
        world.deliver(job)
    assert (world.submitted, world.names) == ([], [])


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_the_target_of_a_file_that_changed_takes_the_next_file(world, change) -> None:
    world.server.before = on_call("write", 0, lambda: change(world.path))
    changed = world.job()
    random_file(world.path.with_name("next.csv"), BIG)
    with world.target() as target:
        eventually(lambda: "changed while" in text_of(target.take(changed)), 5, "it is refused")
        after = World(world.client, world.server, world.path.with_name("next.csv"))
        job = after.job("next.csv", "r2", "f2")
        eventually(lambda: target.take(job) == "r2", 30, "the next one is delivered")
    assert after.submitted == [("r2", digest(after.path.read_bytes()))]
    assert len(world.server.logins) == 1


def text_of(answer: object) -> str:
    return answer.text if isinstance(answer, Held) else ""


def test_a_file_whose_rights_change_while_it_is_uploaded_is_delivered_when_it_was_seen_again(world) -> None:
    world.server.before = on_call("write", 0, lambda: world.path.chmod(0o640))
    job = world.job()
    with world.target() as target:
        eventually(lambda: "changed while" in text_of(target.take(job)), 5, "it is refused")
        eventually(lambda: target.take(world.job()) == "r1", 30, "it is delivered")
    assert world.is_done()


def test_a_file_that_cannot_be_read_in_time_is_left_and_delivered_when_it_can_be(world) -> None:
    world.timeout = 0.5
    hangs = threading.Event()

    class Hanging:
        def seekable(self) -> bool:
            return False

        def read(self, _: int) -> bytes:
            hangs.wait(60)
            return b""

        def close(self) -> None:
            return None

    job = world.job(open_content=Hanging)
    try:
        with pytest.raises(ContentUnavailableError, match="not read in time"):
            world.deliver(job)
        world.deliver()
        assert world.is_done()
    finally:
        hangs.set()

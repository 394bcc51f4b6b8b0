"""What becomes of a file whose content cannot be delivered, or checked, as it is."""

import gzip
import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sfmc_import.file_format import Column, FileDescription, FileFormat, Preflight
from sfmc_import.request import FileInfo
from sfmc_import.settings import Route
from sfmc_producers.checked_files import OpenContent, Refused
from sfmc_producers.content_errors import (
    ContentChangedError,
    ContentDamagedError,
    ContentError,
    ContentGoneError,
    ContentLockedError,
    ContentUnavailableError,
    ContentUnsignedError,
)
from sfmc_producers.delivery.job import Job
from sfmc_producers.delivery.records import Held
from sfmc_producers.delivery.unpacking import Limits, unpacked
from sfmc_producers.submitter import InvalidRequest, RoutingRules, Submitter
from tests.support.fake_client import FakeClient
from tests.support.watched_folder import NOON

INFER = FileFormat(file_type="CSV", header_lines=1, mapping="InferFromColumnHeadings", is_quoted=True)
NUMBERS = FileDescription(INFER, (Column(name="id", type="Number", is_primary_key=True),))
FILE = FileInfo(location="/in", name="a.csv.gz", version="1")


class FakeTarget:
    """Takes jobs: `outcome` is what becomes of them."""

    place = "sftp://there/Import"

    def __init__(self, outcome: Callable[[Job[Any]], Any]) -> None:
        self.outcome, self.jobs = outcome, list[Job[Any]]()

    def knows(self, request_id: str) -> bool:
        return any(each.request_id == request_id for each in self.jobs)

    def unpacked(self, open_content: OpenContent, forms: tuple[str, ...], _: tuple[str, ...]) -> OpenContent:
        return unpacked(open_content, forms, Limits(), None)

    def take(self, job: Job[Any]) -> Any:
        self.jobs.append(job)
        return self.outcome(job)


class World:
    def __init__(self, outcome: Callable[[Job[Any]], Any], deliver_as: str | None = None) -> None:
        looked = Route(pattern="*", customer_key="k", deliver="ftp", unpack=("gz",), preflight=Preflight())
        route = replace(looked, deliver_as=deliver_as)
        self.client = FakeClient(descriptions={"k": NUMBERS}, routes=[route])
        self.target = FakeTarget(outcome)
        targets: Any = {"ftp": self.target}
        rules = RoutingRules(definitions=self.client, routes=self.client.routes, targets=targets)  # type: ignore[arg-type]
        self.submitter = Submitter(self.client, rules, lambda: 0.0, lambda: NOON)  # type: ignore[arg-type]
        self.opened = 0

    def submit(self, content: bytes | ContentError, file: FileInfo = FILE) -> Any:
        def opening() -> Any:
            self.opened += 1
            if isinstance(content, ContentError):
                raise content
            return io.BytesIO(content)

        routed: Any = self.submitter.route(file, None)
        return self.submitter.submit(file, routed, "s", open_content=opening)


def rejected(world: World) -> list[Any]:
    return list(world.client.rejected.values())


def test_the_unpacked_rows_are_checked_and_the_unpacked_name_is_submitted() -> None:
    world = World(lambda job: job.submit())
    assert world.submit(gzip.compress(b"id\n1\n")).is_new
    assert world.client.started == [("a.csv", "k")]
    assert [job.open_content().read() for job in world.target.jobs] == [b"id\n1\n"]
    found = world.submit(gzip.compress(b"id\nx\n"), replace(FILE, version="2"))
    assert found.problems == ("line 2, column id: no whole number",)


@pytest.mark.parametrize("seen_by", ["preflight", "delivery"])
def test_a_damaged_file_is_rejected_whoever_sees_it_first(seen_by: str) -> None:
    world = World(lambda job: job.unusable(ContentDamagedError("it was cut")))  # type: ignore[misc]
    content = gzip.compress(b"id\n1\n")
    found = world.submit(content[:-9] if seen_by == "preflight" else content)
    assert isinstance(found, Refused)
    assert found.code == "damaged"
    [(name, key, code, _text)] = rejected(world)
    assert (name, key, code) == ("a.csv.gz", "k", "damaged")
    assert len(world.target.jobs) == (0 if seen_by == "preflight" else 1)


def test_a_file_without_a_signature_that_its_route_asks_for_is_rejected_with_a_code_of_its_own() -> None:
    world = World(lambda job: job.unusable(ContentUnsignedError("it is not signed")))  # type: ignore[misc]
    found = world.submit(gzip.compress(b"id\n1\n"))
    assert (found.code, found.problems) == ("bad_signature", ("it is not signed",))
    assert [each[2] for each in rejected(world)] == ["bad_signature"]


@pytest.mark.parametrize(
    "error", [ContentGoneError("replaced"), ContentLockedError("another key")], ids=["gone", "locked"]
)
@pytest.mark.parametrize("seen_by", ["preflight", "delivery"])
def test_a_file_that_is_gone_or_locked_gets_no_request_so_that_it_can_come_again(error, seen_by) -> None:
    world = World(lambda job: job.unusable(error))  # type: ignore[misc]
    found = world.submit(error if seen_by == "preflight" else gzip.compress(b"id\n1\n"))
    assert found == InvalidRequest(problems=(str(error),))
    assert (rejected(world), world.client.started) == ([], [])


@pytest.mark.parametrize(
    "error", [ContentChangedError("changed"), ContentUnavailableError("cut")], ids=["changed", "unavailable"]
)
def test_a_file_that_cannot_be_read_now_waits(error) -> None:
    world = World(lambda job: job.submit())
    assert world.submit(error) is None
    assert (rejected(world), world.client.started, world.target.jobs) == ([], [], [])


def test_a_file_on_its_way_is_not_checked_again() -> None:
    world = World(lambda _: Held("on its way"))
    content = gzip.compress(b"id\n1\n")
    assert [world.submit(content) for _ in range(3)] == [Held("on its way")] * 3
    assert world.opened == 1


def test_a_sound_file_whose_target_is_away_is_read_once_and_again_when_its_content_is_another() -> None:
    world = World(lambda _: Held("the target is away"))
    world.target.knows = lambda _: False  # type: ignore[method-assign]
    content = gzip.compress(b"id\n1\n")
    assert [world.submit(content) for _ in range(3)] == [Held("the target is away")] * 3
    assert world.opened == 1
    world.submit(content, replace(FILE, version="2"))
    assert world.opened == 2
    world.target.outcome = lambda job: job.submit()
    assert world.submit(content).is_new
    assert world.opened == 2


def test_a_file_that_is_not_sound_is_never_delivered_unchecked() -> None:
    world = World(lambda _: Held("the target is away"))
    world.target.knows = lambda _: False  # type: ignore[method-assign]
    world.submit(gzip.compress(b"id\n1\n"))
    found = world.submit(gzip.compress(b"id\nx\n"), replace(FILE, version="2"))
    assert isinstance(found, Refused)

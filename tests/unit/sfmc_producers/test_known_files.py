"""A file of a route that delivers, which has a request already: the ledger is asked before anything is done with it."""

import gzip
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest

from sfmc_import.client import SubmitResult
from sfmc_import.ports import LedgerUnavailableError
from sfmc_producers.checked_files import Refused
from sfmc_producers.content_errors import ContentDamagedError
from sfmc_producers.delivery.job import Job
from sfmc_producers.delivery.records import Held
from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.sources.intake import Intake
from sfmc_producers.submitter import Submitter
from tests.support.watched_folder import NOON
from tests.unit.sfmc_producers.test_unusable_content import FILE, World

GOOD = gzip.compress(b"id\n1\n")


def restarted(world: World, outcome: Callable[[Job[Any]], Any], deliver_as: str | None = None) -> World:
    """The next process, with the same ledger."""
    other = World(outcome, deliver_as)
    other.submitter = Submitter(world.client, other.submitter._rules, lambda: 0.0, lambda: NOON)  # type: ignore[arg-type]
    other.client = world.client
    return other


def test_a_file_that_has_a_request_is_neither_read_nor_delivered_again_after_a_restart() -> None:
    first = World(lambda job: job.submit())
    given = first.submit(GOOD)
    second = restarted(first, lambda _: Held("the target is away"))

    assert second.submit(GOOD) == SubmitResult(request_id=given.request_id, is_new=False)
    assert (second.opened, second.target.jobs) == (0, [])
    assert second.submit(GOOD, replace(FILE, version="2")) == Held("the target is away")


@pytest.mark.parametrize("content", [gzip.compress(b"id\nx\n"), GOOD[:-9]], ids=["preflight", "damaged"])
def test_a_file_that_was_rejected_is_not_read_again(content: bytes) -> None:
    first = World(lambda job: job.unusable(ContentDamagedError("it was cut")))  # type: ignore[misc]
    given = first.submit(content)
    second = restarted(first, lambda job: job.submit())

    assert second.submit(content) == Refused(request_id=given.request_id, problems=(), code="known")
    assert (second.opened, second.target.jobs) == (0, [])


def test_what_a_target_has_taken_up_gives_its_own_answer() -> None:
    world = World(lambda _: Held("on its way"))
    world.submit(GOOD)
    world.target.outcome = lambda job: job.submit()
    assert world.submit(GOOD).is_new


def test_a_source_says_since_when_its_target_takes_no_file_until_it_takes_one() -> None:
    world = World(lambda _: Held("target ftp: no space", code="undelivered", again_at=0.0))
    intake = Intake("drop", world.submitter)
    arrival = Arrival(file=FILE, open_content=lambda: BytesIO(GOOD))
    intake.take(arrival)
    away = intake.standing.describe("drop", intake.standing.clock(), 10)
    world.target.outcome = lambda job: job.submit()
    intake.take(arrival)

    assert away is not None
    assert (away["state"], away["text"], "again" in away) == ("undelivered", "target ftp: no space", True)
    assert intake.standing.describe("drop", intake.standing.clock(), 10) is None


def test_a_target_can_ask_for_the_request_that_another_program_submitted_meanwhile() -> None:
    world = World(lambda _: Held("on its way"))
    world.submit(GOOD)
    [job] = world.target.jobs
    assert job.known() is None
    job.submit()
    assert job.known() == SubmitResult(request_id=job.request_id, is_new=False)
    world.client.ledger_is_down = True
    with pytest.raises(LedgerUnavailableError):
        job.known()


def test_while_redis_does_not_say_whether_a_file_is_known_nothing_is_done() -> None:
    world = World(lambda job: job.submit())
    world.client.ledger_is_down = True
    assert world.submit(GOOD) is None
    assert (world.opened, world.target.jobs) == (0, [])


def test_two_files_that_get_one_name_at_the_target_are_both_delivered_and_submitted() -> None:
    world = World(lambda job: job.submit(), deliver_as="orders.csv")
    names = ("o_a.csv.gz", "o_b.csv.gz")
    given = [world.submit(GOOD, replace(FILE, name=name)) for name in names]

    assert [each.is_new for each in given] == [True, True]
    assert {job.name for job in world.target.jobs} == {"orders.csv"}
    assert len({job.fingerprint for job in world.target.jobs}) == 2
    files = [each.file for each in world.client.requests.values() if each.file]
    assert [(each.name, each.arrived_as) for each in files] == [("orders.csv", name) for name in names]


def test_a_file_that_is_rejected_makes_no_other_of_the_same_name_at_the_target_known() -> None:
    world = World(lambda job: job.submit(), deliver_as="orders.csv")

    assert isinstance(world.submit(gzip.compress(b"id\nx\n"), replace(FILE, name="o_a.csv.gz")), Refused)
    assert world.submit(GOOD, replace(FILE, name="o_b.csv.gz")).is_new


def test_a_file_is_known_also_when_its_route_gives_it_another_name_now() -> None:
    first = World(lambda job: job.submit())
    given = first.submit(GOOD)
    second = restarted(first, lambda job: job.submit(), deliver_as="orders.csv")

    assert second.submit(GOOD) == SubmitResult(request_id=given.request_id, is_new=False)
    assert (second.opened, second.target.jobs) == (0, [])

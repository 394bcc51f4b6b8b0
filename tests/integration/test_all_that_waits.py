"""What is wrong is said of all that waits, and alike at each look, however many requests wait."""

from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from sfmc_import.cli.doctor import check_circuits
from sfmc_import.cli.main import cli
from sfmc_import.cli.overview import whole_lines
from sfmc_import.faults import Ambiguous, NotApplied
from sfmc_import.operations import requests
from sfmc_import.operations.gathering import gather
from sfmc_import.operations.overview import overview
from sfmc_import.operations.status import standing, status
from sfmc_import.policy import Policy
from tests.integration.test_troubles_shown import claimed
from tests.support.console import MID, World, console_over

BUSY = NotApplied("13", "the database is busy")
MANY = 30


@pytest.fixture
def world(redis_server: Any) -> Iterator[World]:
    with console_over(redis_server.url) as made:
        yield made


def fail(world: World, key: str, pause: float, fault: NotApplied = BUSY) -> None:
    ledger, lease = claimed(world, key)
    ledger.retry(lease, fault, pause)


def test_the_oldest_and_the_rarest_failures_are_said_although_they_are_due_last(world: World) -> None:
    fail(world, "oldest", 900)
    ledger, lease = claimed(world, "in-doubt")
    ledger.mark_ambiguous(lease, Ambiguous("9", "maintenance", account_wide=True), 800, Policy())
    for number in range(MANY):
        fail(world, f"K{number:02}", 1)
    [oldest] = requests.find(world.access, "oldest", MID)
    failed, in_doubt = status(world.access).troubles

    assert oldest.waiting is not None
    assert oldest.waiting.last_error is not None
    assert (failed.since, failed.deadline) == (oldest.waiting.last_error.since, oldest.waiting.deadline)
    assert (failed.codes, failed.requests, failed.looked_at) == (("13",), MANY + 1, None)
    assert failed.customer_keys == (*(f"K{number:02}" for number in range(MANY)), "oldest")
    assert (in_doubt.reason, in_doubt.codes) == ("reconciling", ("9",))


def test_every_surface_and_every_look_says_the_same(world: World) -> None:
    for number in range(MANY):
        fail(world, f"K{number:02}", 1 + number % 3, NotApplied(str(9 + 4 * (number % 2)), "not now"))
    looks = [
        status(world.access).troubles,
        overview(world.access).troubles,
        standing(world.access, "K01", MID).troubles,
    ]
    findings = [(each.text, each.fix) for each in check_circuits(world.access.settings)]
    page = world.person("viewer").see("/").text

    assert looks[1:] == looks[:1] * 2
    assert {each.requests for each in looks[0]} == {MANY // 2}
    for trouble in looks[0]:
        assert any(trouble.affected in text and fix in trouble.advice for text, fix in findings)
        assert trouble.affected in page


def test_two_codes_of_one_wait_have_each_a_line_with_its_own_begin_and_advice_on_every_surface(world: World) -> None:
    fail(world, "busy", 60)
    fail(world, "failed", 60, NotApplied("http_status", "HTTP 500"))
    found = status(world.access).troubles
    page = world.person("viewer").see("/").text

    assert [(each.reason, each.codes, each.customer_keys) for each in found] == [
        ("backoff", ("13",), ("busy",)),
        ("backoff", ("http_status",), ("failed",)),
    ]
    assert [each.fix for each in check_circuits(world.access.settings)] == [
        each.advice.removeprefix("To do: ") for each in found
    ]
    assert found[0].advice != found[1].advice
    assert page.count(f"Business unit {MID}: backoff since") == len(found)


def test_of_more_requests_than_are_looked_at_the_number_is_known(world: World) -> None:
    for number in range(4):
        fail(world, f"K{number}", 1)

    assert gather(world.access, 3).looked_at == 3
    assert gather(world.access, 4).looked_at is None
    assert sum(1 + each.count for each in gather(world.access, 3).alike.values()) <= 3


def test_what_waits_for_a_pause_or_a_window_is_not_read_as_a_whole(world: World) -> None:
    fail(world, "held", 60, NotApplied("window", "closed"))
    world.submit(name="new.csv", key="new")

    assert gather(world.access).request_ids == ()


def test_without_worker_and_beat_nothing_is_said_to_go_on_by_itself(world: World, redis_server: Any) -> None:
    fail(world, "waits", 60)
    whole = status(world.access)
    lines = " ".join(map(str, whole_lines(whole)))
    [finding] = check_circuits(world.access.settings)
    said = "start sfmc-import worker and sfmc-import beat"
    env = {"SFMC_REDIS_URL": redis_server.url, "SFMC_ACCOUNT_ID": MID}

    assert [each.advice for each in whole.troubles] == [f"To do: {said}. Requests go on by themselves after that."]
    assert "Requests go on by themselves. " not in lines
    assert finding.fix == f"{said}. Requests go on by themselves after that."
    assert CliRunner().invoke(cli, ["status"], env=env).exit_code == 1


def test_an_advice_for_a_person_names_what_must_run_before_requests_go_on(world: World) -> None:
    fail(world, "waits", 60, NotApplied("login_failed", "no", account_wide=True))
    [trouble] = status(world.access).troubles

    assert trouble.advice.endswith(
        "Requests go on by themselves after that, once sfmc-import worker and sfmc-import beat run."
    )

"""A watcher that has spent a budget of its own: every surface names it, and when the budget is new."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sfmc_import.cli.doctor_folders import check_folders
from sfmc_import.cli.doctor_redis import check_redis
from sfmc_import.cli.overview import whole_lines
from sfmc_import.operations.budgets import end_of_budget
from sfmc_import.operations.status import status
from sfmc_import.waiting import BUDGET_OF_DAY, BUDGET_OF_YEAR
from tests.integration.test_folders import FOLDER, OLD
from tests.support.console import World, console_over


@pytest.fixture
def world(redis_server: Any) -> Iterator[World]:
    with console_over(redis_server.url) as made:
        yield made


@pytest.mark.parametrize(
    ("text", "name"), [(BUDGET_OF_DAY, "SFMC_CALLS_PER_DAY"), (BUDGET_OF_YEAR, "SFMC_CALLS_PER_YEAR")]
)
def test_the_spent_budget_of_a_watcher_says_whose_it_is_and_when_it_is_new(world: World, text: str, name: str) -> None:
    held = {"name": "orders.csv", "reason": "unavailable", "age": 60.0, "text": text, "code": "budget"}
    stray = {"name": "a.csv", "reason": "unmatched", "age": 30.0, "text": "no FileSpec"}
    old = OLD | {"code": "budget", "text": text}
    world.client.note_folders("h:1:x", [FOLDER | {"files": [held, stray], "definitions": [old]}])
    zone = world.access.settings.time_zone
    end = end_of_budget(text, datetime.fromtimestamp(world.access.reader.now(), UTC), ZoneInfo(zone))
    fix = f"wait until {end:%Y-%m-%d %H:%M:%S} UTC, when the budget is new, or raise {name} of h:1:x and start it again"
    found = status(world.access)
    [folder], [definitions] = found.folders, found.old_definitions
    lines, page = " ".join(map(str, whole_lines(found))), world.person("viewer").see("/").text

    assert folder.advice == f"{fix}; the files go on by themselves after that"
    assert definitions.advice == f"{fix}; they are read anew by themselves after that"
    assert (folder.files[1].advice or "").startswith(fix)
    assert all(fix in said for said in (lines, page, world.ask("GET", "/v1/status").text))
    assert all("restart the workers" not in said for said in (lines, page))
    assert [each.fix for each in check_folders(found.folders) if each.level != "ok"] == [folder.advice]
    assert folder.advice in {each.fix for each in check_redis(world.access.settings, "worker")}

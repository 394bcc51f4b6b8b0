"""Times from outside that are later or earlier than any calendar are taken, and shown as the nearest that it has."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from sfmc_import.access import ReadAccess
from sfmc_import.cli.doctor_folders import check_folders
from sfmc_import.cli.main import cli
from sfmc_import.cli.overview import standing_lines
from sfmc_import.cli.times import read_since
from sfmc_import.client import Client
from sfmc_import.display import FIRST_TIME, LAST_TIME
from sfmc_import.operations import actions, forgetting, listing, pausing, requests, runs, status
from sfmc_import.request import MAX_TIME_NS, Delivery, read_request
from sfmc_import.settings import load
from tests.support.console import console_over

MID = "510001234"
LAST = datetime(9999, 1, 1, tzinfo=UTC)
LATEST = [
    datetime.max.replace(tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(-timedelta(hours=1))),
]


@pytest.fixture
def access(redis_server: Any) -> ReadAccess:
    return ReadAccess(load({"SFMC_REDIS_URL": redis_server.url, "SFMC_ACCOUNT_ID": MID}))


@pytest.mark.parametrize("until", LATEST, ids=str)
def test_a_pause_ends_with_the_calendar_at_the_latest(access: ReadAccess, until: datetime) -> None:
    actions.pause(access, f"key:{MID}:a", "ann", "look", until)

    [pause] = pausing.pauses(access)
    assert pause.until == LAST
    assert status.standing(access, "a", MID).pause == pause
    assert pause.model_dump_json()


@pytest.mark.parametrize("time", LATEST, ids=str)
def test_a_request_waits_or_expires_with_the_calendar_at_the_latest(access: ReadAccess, time: datetime) -> None:
    with Client.from_settings(access.settings) as client:
        times = Delivery(eta=time.isoformat(), expires=time.isoformat())
        request = client.record(read_request("r1", MID, {"customer_key": "a"}, times)).request_id

    found = requests.show(access, request)
    assert (found.not_before, found.expires) == (LAST, LAST)
    assert [each.request_id for each in listing.requests(access, listing.Filter()).items] == [request]
    assert [str(line) for line in standing_lines(status.standing(access, "a", MID), LAST.timestamp())]


@pytest.mark.parametrize(("seconds", "shown"), [(MAX_TIME_NS, LAST_TIME), (-MAX_TIME_NS, FIRST_TIME)])
def test_the_time_of_a_file_is_shown_as_the_nearest_of_the_calendar(
    access: ReadAccess, seconds: int, shown: float
) -> None:
    file = {"location": "/in", "name": "a.csv", "modified_ns": seconds}
    with Client.from_settings(access.settings) as client:
        request = client.submit(customer_key="a", file=file).request_id

    found = requests.show(access, request).file
    assert found is not None
    assert found.modified_at == datetime.fromtimestamp(shown, UTC)


@pytest.mark.parametrize(
    "text",
    [
        "9999-12-31T23:59:59.999999",
        "9999-12-31T23:59-23:00",
        "0001-01-01T00:00",
        "0001-01-01T00:00+23:00",
        "9" * 400 + "d",
    ],
)
def test_runs_are_listed_since_any_time(access: ReadAccess, text: str) -> None:
    since = read_since(text, LAST_TIME)

    assert FIRST_TIME <= since <= LAST_TIME
    assert runs.page(access, since).items == []


def test_a_folder_that_is_as_old_as_no_calendar_is_shown_everywhere_until_it_is_forgotten(
    redis_server: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its process says what it wants."""
    monkeypatch.setenv("SFMC_REDIS_URL", redis_server.url)
    monkeypatch.setenv("SFMC_ACCOUNT_ID", MID)
    ages = dict.fromkeys(("age", "again", "looked"), 2.0**40)
    file = {"name": "orders.csv", "reason": "growing", "age": 2.0**40}
    said = {"folder": "/data/in", "location": "/data/in", "state": "hanging", "files": [file], "more": 0}
    with console_over(redis_server.url) as world:
        world.client.note_folders("h:1:x", [said | ages])
        [folder] = world.ask("GET", "/v1/folders").json()
        [shown] = world.ask("GET", "/v1/status").json()["folders"]
        cli.main(["folders", "list"], "sfmc-import", standalone_mode=False)

        assert folder == shown
        assert (folder["since"], folder["until"]) == ("0002-01-01T00:00:00.000Z", "9999-01-01T00:00:00.000Z")
        assert world.person("viewer").see("/").status_code == 200
        assert check_folders(status.status(world.access).folders)
        assert "/data/in" in capsys.readouterr().out
        world.access.client.delete(world.access.keys.watchers)
        assert forgetting.forget_folder(world.access, "/data/in", "ann").forgotten

"""No import of another file, and one window for one definition, in real processes."""

import os
import struct
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from celery import Celery

from sfmc_harness.chaos.midnight import ZONE as OF_TICKS
from sfmc_harness.chaos.midnight import write_zone
from tests.support.processes import RunningSystem, running_system
from tests.support.sandbox_server import ACCOUNT_ID, PASSWORD, USERNAME
from tests.support.waiting import eventually

ZONE = "Etc/GMT+6"
DATED = "%%YEAR%%%%MONTH%%%%DAY%%"
ROWS = "Key,Value\n1,one\n"
POLICY = """
[[definition]]
customer_key = "UNPACKED"
when_mismatch = "start"
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    policy = tmp_path_factory.mktemp("policy") / "policy.toml"
    policy.write_text(POLICY)
    with running_system({"SFMC_CONFIG": str(policy), "SFMC_MIDNIGHT_MARGIN": "0.5"}) as made:
        made.worker()
        made.beat()
        yield made


@pytest.fixture
def client(stack: RunningSystem) -> Iterator[Celery]:
    with Celery("somebody-else", broker=stack.valkey.celery_url, set_as_current=False) as app:
        yield app


def send(client: Celery, key: str | None, **more: object) -> str:
    return str(client.send_task("imports.start", kwargs={"customer_key": key, **more}, queue="imports").id)


def day(ahead: int = 0) -> str:
    return f"{datetime.now(ZoneInfo(ZONE)) + timedelta(days=ahead):%Y%m%d}"


def test_only_the_file_that_file_spec_selects_today_is_imported(stack: RunningSystem, client: Celery) -> None:
    stack.sandbox.control.set_zone(ZONE)
    stack.sandbox.control.define("dated", FileSpec=f"dated_{DATED}.csv")
    stack.sandbox.drop(f"dated_{day()}.csv", ROWS)

    old = send(client, "dated", file={"location": "/in", "name": f"dated_{day(-1)}.csv", "version": "1"})
    rejected = stack.await_event("rejected", old)
    new = send(client, "dated", file={"location": "/in", "name": f"dated_{day()}.csv", "version": "1"})
    completed = stack.await_event("completed", new)

    assert rejected["data"]["code"] == "pattern_mismatch"
    assert f"dated_{day()}.csv" in rejected["data"]["text"]
    assert completed["data"]["rows_total"] == 1
    assert len(stack.sandbox.control.performs("dated")) == 1


def test_a_file_whose_name_file_spec_does_not_select_starts_nothing(stack: RunningSystem, tmp_path: Path) -> None:
    stack.sandbox.control.define("fixed", FileSpec="fixed.csv")
    file = tmp_path / "fixed_1.csv"
    file.write_text(ROWS)

    done = stack.run("start", "fixed", "--file", str(file), "--wait")

    assert done.returncode == 1
    assert "pattern_mismatch" in done.stdout
    assert stack.sandbox.control.performs("fixed") == []


def test_a_file_older_than_max_file_age_starts_nothing(stack: RunningSystem, tmp_path: Path) -> None:
    stack.sandbox.control.define("fresh", FileSpec="fresh.csv", MaxFileAge=2, MaxFileAgeScheduleOffset=1)
    file = tmp_path / "fresh.csv"
    file.write_text(ROWS)
    os.utime(file, (time.time() - 4 * 3600,) * 2)

    done = stack.run("start", "fresh", "--file", str(file), "--wait")

    assert done.returncode == 1
    assert "file_too_old" in done.stdout
    assert stack.sandbox.control.performs("fresh") == []


def test_a_policy_lets_a_file_of_another_name_start_its_definition(stack: RunningSystem, client: Celery) -> None:
    """The table of the policy file is found although it spells the key otherwise."""
    stack.sandbox.control.define("unpacked", FileSpec="unpacked.csv")
    stack.sandbox.drop("unpacked.csv", ROWS)

    stack.await_event("completed", send(client, "unpacked", file="/in/unpacked.csv.gz"))


def test_spellings_and_the_object_id_of_one_definition_share_its_window(stack: RunningSystem, client: Celery) -> None:
    stack.sandbox.control.define("Hourly_Orders", MaxImportFrequency=1)
    object_id = stack.sandbox.control.definition("Hourly_Orders")["ObjectID"]
    first = send(client, "HOURLY_ORDERS ")
    started = stack.await_event("started", first)
    assert (started["subject"], started["data"]["asked_key"]) == ("Hourly_Orders", "HOURLY_ORDERS ")

    others = [send(client, "hourly_orders"), send(client, None, object_id=object_id.upper())]
    others.append(send(client, "Hourly_Orders", mid=f"00{ACCOUNT_ID}"))

    for other in others:
        duplicate = stack.await_event("duplicate", other)
        assert (duplicate["subject"], duplicate["data"]["held_by"]) == ("Hourly_Orders", first)
    assert len(stack.sandbox.control.performs()) == len({each["task_id"] for each in stack.sandbox.control.performs()})
    shown = stack.run("status", "hourly_orders")
    assert f"by request {first}" in shown.stdout


def test_a_command_starts_a_definition_by_its_object_id(stack: RunningSystem) -> None:
    stack.sandbox.control.define("by-id", FileSpec="by-id.csv")
    stack.sandbox.drop("by-id.csv", ROWS)
    object_id = stack.sandbox.control.definition("by-id")["ObjectID"]

    done = stack.run("start", "--object-id", object_id, "--wait")
    nothing = stack.run("start")
    wrong = stack.run("start", "--object-id", "5")

    assert done.returncode == 0, done.stdout + done.stderr
    assert len(stack.sandbox.control.performs("by-id")) == 1
    assert (nothing.returncode, wrong.returncode) == (2, 2)
    assert "--object-id" in nothing.stderr
    assert "32 hex digits" in wrong.stderr


def test_a_request_waits_in_the_ledger_while_its_definition_cannot_be_read(
    stack: RunningSystem, client: Celery
) -> None:
    stack.sandbox.control.define("patient")
    with stack.sandbox.control.fault("fault_13", "Retrieve"):
        request = send(client, "PATIENT")
        waiting = stack.await_event("retrying", request)
    stack.await_event("started", request)

    assert waiting["data"]["attempt"] == 1
    assert stack.names(request)[:2] == ["accepted", "retrying"]


@pytest.mark.nightly
def test_a_login_that_cannot_choose_a_business_unit_refuses_requests_for_another() -> None:
    legacy = {"SFMC_AUTH_URL": "", "SFMC_CLIENT_ID": "", "SFMC_CLIENT_SECRET": ""}
    with running_system({**legacy, "SFMC_USERNAME": USERNAME, "SFMC_PASSWORD": PASSWORD}) as stack:
        stack.sandbox.control.define("daily", MaxImportFrequency=1)
        stack.worker()
        with Celery("somebody-else", broker=stack.valkey.celery_url, set_as_current=False) as client:
            other = stack.await_event("rejected", send(client, "daily", mid="999"))
        said = stack.run("start", "daily", "--mid", "999")

        assert other["data"]["code"] == "other_business_unit"
        assert "SFMC_ACCOUNT_ID" in other["data"]["text"]
        assert (said.returncode, stack.sandbox.control.performs("daily")) == (2, [])


SECONDS_TO_MIDNIGHT = 20


def zone_near_midnight(folder: Path) -> tuple[str, datetime]:
    """Write a time zone whose next midnight is near; gives its name and that midnight."""
    now = datetime.now(UTC)
    since = now.hour * 3600 + now.minute * 60 + now.second
    offset = (86400 - SECONDS_TO_MIDNIGHT - since) % 86400
    offset -= 86400 if offset > 43200 else 0
    header = b"TZif" + b"\0" * 16 + struct.pack(">6l", 0, 0, 0, 0, 1, 4)
    (folder / "Soon").write_bytes(header + struct.pack(">lbb", offset, 0, 0) + b"SOO\0")
    return "Soon", now + timedelta(seconds=SECONDS_TO_MIDNIGHT)


@pytest.mark.nightly
def test_a_file_that_waited_beyond_midnight_starts_no_import_of_the_next_days_file(tmp_path: Path) -> None:
    name, midnight = zone_near_midnight(tmp_path)
    settings = {"SFMC_TIME_ZONE": name, "PYTHONTZPATH": str(tmp_path), "SFMC_MIDNIGHT_MARGIN": "1"}
    with running_system(settings) as stack:
        local = (midnight - timedelta(seconds=60)).astimezone(UTC)
        today, tomorrow = _days(tmp_path, local)
        stack.sandbox.control.define("daily", FileSpec=f"in_{DATED}.csv")
        file = tmp_path / f"in_{today}.csv"
        file.write_text(ROWS)
        assert stack.run("start", "daily", "--record-only", "--file", str(file)).returncode == 0
        assert datetime.now(UTC) < midnight
        stack.sandbox.drop(f"in_{tomorrow}.csv", ROWS * 3)
        eventually(lambda: time.time() > midnight.timestamp() + 1.5, 60, "midnight is over")
        stack.worker()
        stack.beat()

        rejected = stack.await_event("rejected")

        assert rejected["data"]["code"] == "pattern_mismatch"
        assert tomorrow in rejected["data"]["text"]
        assert stack.sandbox.control.performs("daily") == []


TICK = f"""
[[source]]
name = "nightly"
kind = "schedule"
cron = "0 0 * * *"
time_zone = "{OF_TICKS}"
customer_key = "daily"
"""


@pytest.mark.nightly
def test_a_tick_at_midnight_imports_the_file_of_the_new_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONTZPATH", str(tmp_path))
    # Schedules tick at whole minutes.
    written = write_zone(tmp_path, (time.time() + SECONDS_TO_MIDNIGHT) // 60 * 60 + 60)
    (tmp_path / "policy.toml").write_text(TICK)
    settings = {"SFMC_CONFIG": str(tmp_path / "policy.toml"), "SFMC_MIDNIGHT_MARGIN": "5"}
    zone = {"SFMC_TIME_ZONE": OF_TICKS, "PYTHONTZPATH": str(tmp_path)}
    with running_system(settings | zone, ["--time-zone", OF_TICKS]) as stack:
        control = stack.sandbox.control
        control.define("daily", FileSpec=f"in_{DATED}.csv")
        for day_of, rows in zip(written.days, ("1,one\n", "1,one\n2,two\n"), strict=True):
            stack.sandbox.drop(f"in_{day_of}.csv", "Key,Value\n" + rows)
        stack.worker()
        stack.beat()
        waits = stack.await_event("retrying", within=90)
        completed = stack.await_event("completed")

        (sent,) = control.performs("daily")
        assert waits["data"]["code"] == "near_midnight"
        assert completed["data"]["rows_total"] == 2
        assert datetime.fromisoformat(sent["time"]).timestamp() >= written.at + 5


def _days(folder: Path, moment: datetime) -> tuple[str, str]:
    with (folder / "Soon").open("rb") as file:
        local = moment.astimezone(ZoneInfo.from_file(file))
    return f"{local:%Y%m%d}", f"{local + timedelta(days=1):%Y%m%d}"

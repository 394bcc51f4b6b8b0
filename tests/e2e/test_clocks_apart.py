"""Redis and the workers' machine have the same wrong time: what Marketing Cloud's answers say of its own counts."""

import json
from datetime import datetime, timedelta

import pytest
from celery import Celery

from tests.support.processes import running_system
from tests.support.sandbox_server import ACCOUNT_ID

BEHIND = 1200.0
LATE = 120.0
DATED = "daily_%%YEAR%%%%MONTH%%%%DAY%%.csv"
ROWS = "Key,Value\n1,one\n"


@pytest.mark.nightly
def test_the_run_of_an_unknown_start_is_not_taken_for_the_next_one_where_both_clocks_are_behind() -> None:
    settings = {"SFMC_RESULTS_DELAY": "20", "SFMC_RECONCILE_DEADLINE": "20"}
    with running_system(settings) as stack:
        control = stack.sandbox.control
        control.advance(BEHIND)
        worker = stack.worker()
        stack.beat()
        control.define("daily", FileSpec="daily.csv")
        control.add_fault("late_row", customer_key="daily", seconds=LATE, count=1)
        control.add_fault("http_any_after_applying", customer_key="daily", status=429, count=1)
        first = json.loads(stack.run("start", "daily", "--json").stdout)["request_id"]
        stack.await_event("retrying", first)
        stack.run("cancel", first, "--reason", "wrong file")
        stack.await_event("start_unknown", first)
        control.add_fault("drop_before_applying", customer_key="daily", count=1)
        second = json.loads(stack.run("start", "daily", "--json").stdout)["request_id"]
        stack.await_event("reconciling", second)
        control.advance(LATE)
        ended = stack.await_event("start_unknown", second)

        (run,) = [each["task_id"] for each in control.performs()]
        assert ended["data"]["candidates"] == [run]
        assert "redis_clock_wrong" in stack.log_of(worker).read_text()
        doctor = stack.run("doctor")
        assert doctor.returncode == 1
        assert "s behind that of Marketing Cloud: the dates of runs prove little" in doctor.stdout


def test_the_file_of_the_day_at_marketing_cloud_is_imported_where_it_is_another_day_there() -> None:
    with running_system() as stack:
        control = stack.sandbox.control
        local = datetime.fromisoformat(control.set_before_midnight(7200.0))
        assert datetime.now(local.tzinfo).date() != local.date() or local.hour >= 21
        control.advance(14400.0)
        there = f"{local + timedelta(days=1):%Y%m%d}"
        stack.worker()
        stack.beat()
        control.define("daily", FileSpec=DATED)
        stack.sandbox.drop(f"daily_{there}.csv", ROWS)
        with Celery("somebody-else", broker=stack.valkey.celery_url, set_as_current=False) as client:
            file = {"location": "/in", "name": f"daily_{there}.csv", "version": "1"}
            kwargs = {"customer_key": "daily", "mid": str(ACCOUNT_ID), "file": file}
            request_id = str(client.send_task("imports.start", kwargs=kwargs, queue="imports").id)
        completed = stack.await_event("completed", request_id)

        assert completed["data"]["rows_total"] == 1


def test_the_file_of_the_day_at_marketing_cloud_is_taken_from_a_stream_where_it_is_another_day_there(tmp_path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('[[source]]\nname = "drop"\nkind = "stream"\nkey = "drop:arrivals"\n')
    with running_system({"SFMC_CONFIG": str(policy)}) as stack:
        control = stack.sandbox.control
        local = datetime.fromisoformat(control.set_before_midnight(7200.0))
        control.advance(14400.0)
        name = f"daily_{local + timedelta(days=1):%Y%m%d}.csv"
        stack.worker()
        stack.beat()
        control.define("daily", FileSpec=DATED)
        stack.sandbox.drop(name, ROWS)
        stack.start("source", "drop")
        event = {"file": {"location": "/in", "name": name, "version": "1"}}
        stack.client.xadd("drop:arrivals", {"event": json.dumps(event)})
        completed = stack.await_event("completed")

        assert completed["data"]["file"]["name"] == name
        assert completed["data"]["rows_total"] == 1

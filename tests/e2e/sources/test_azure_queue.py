"""The source `azure-queue`: a Storage Queue, real processes, the sandbox."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.azure_containers import KEY, Blob, container_server
from tests.support.azure_server import azurite, azurite_program, small_server
from tests.support.events_of_stores import as_cloudevent, blob_created
from tests.support.processes import RunningSystem, running_system
from tests.support.secrets_watch import WATCH
from tests.support.sources import example_of, running_source, use_policy
from tests.support.waiting import eventually

EXAMPLE = example_of("azure-queue")


@pytest.fixture(scope="module", params=["small", pytest.param("azurite", marks=pytest.mark.nightly)])
def azure(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if request.param == "azurite" and azurite_program() is None:
        pytest.skip("azurite is not installed: npm install -g azurite")
    folder: Path = tmp_path_factory.mktemp("azurite")
    with small_server() if request.param == "small" else azurite(folder) as made:
        made.make("drop")
        yield made


@pytest.fixture(scope="module")
def system(azure: Any) -> Iterator[RunningSystem]:
    with running_system({"SFMC_SOURCE_DROP_CONNECTION": azure.connection}, least_rights=True) as made:
        WATCH.use(azure.connection.partition("AccountKey=")[2].partition(";")[0])
        made.worker()
        made.beat()
        made.sandbox.control.define("orders", FileSpec="orders_9.csv")
        made.sandbox.drop("orders_9.csv", "Key,Value\n1,one\n")
        yield made


def test_a_blob_becomes_one_completed_import_whatever_schema_its_events_have(system, azure) -> None:
    event = blob_created("in/orders_9.csv")
    for value in (blob_created("in/orders_9.csv", api="CreateFile"), event, [as_cloudevent(event)], event):
        azure.send("drop", value)
    with running_source(system, "drop", EXAMPLE):
        eventually(lambda: azure.count("drop") == 0, 30, "all messages are deleted")
        done = system.await_event("completed", within=30)
    assert (done["subject"], done["data"]["file"]["name"]) == ("orders", "orders_9.csv")
    assert len(system.sandbox.control.performs("orders")) == 1


@pytest.mark.nightly
def test_a_scan_submits_what_the_events_missed_and_knows_what_they_said(system, azure) -> None:
    azure.send("drop", blob_created("in/orders_7.csv"))
    with running_source(system, "drop", EXAMPLE):
        eventually(lambda: azure.count("drop") == 0, 30, "the message is deleted")
    now = time.time()
    with container_server() as containers:
        containers.containers["drop"] = [
            Blob(f"in/orders_{number}.csv", changed_at=now - age) for number, age in ((7, 0), (8, 0), (6, 50 * 86400))
        ]
        WATCH.use(KEY)
        policy = use_policy(
            system, EXAMPLE.replace('queue = "drop"', 'queue = "drop"\ncontainer = "drop"\nprefix = "in/"')
        )
        secret = {"SFMC_SOURCE_DROP_BLOB_CONNECTION": containers.connection}
        first, second, all_of_them = (
            system.run("scan", "drop", "--json", *more, **policy, **secret) for more in ([], [], ["--since", "60d"])
        )
    counts = [json.loads(each.stdout.splitlines()[-1])["counts"] for each in (first, second, all_of_them)]
    assert [(each["new"], each["known"], each["older"]) for each in counts] == [(1, 1, 1), (0, 2, 1), (1, 2, 0)]
    assert json.loads(first.stdout.splitlines()[0])["file"]["name"] == "orders_8.csv"


@pytest.mark.nightly
@pytest.mark.parametrize("connection", ["", "no connection string"])
def test_without_a_usable_connection_string_one_line_says_what_is_missing(connection, system, azure) -> None:
    with running_source(system, "drop", EXAMPLE, SFMC_SOURCE_DROP_CONNECTION=connection) as child:
        assert child.wait(30) == 2
    assert "SFMC_SOURCE_DROP_CONNECTION: " in system.log_of(child).read_text("utf-8")


@pytest.mark.nightly
def test_a_missing_queue_ends_the_source_with_one_line_that_says_so(system, azure) -> None:
    policy = example_of("azure-queue", **{'queue = "drop"': 'queue = "none"'})
    with running_source(system, "drop", policy) as child:
        assert child.wait(30) == 1
    lines = [json.loads(line) for line in system.log_of(child).read_text("utf-8").splitlines()]
    assert ["QueueNotFound" in line["reason"] for line in lines if line["event"] == "source_stopped"] == [True]

"""The source `sqs`: moto's server with a bucket, a topic and queues, real processes, the sandbox."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sfmc_local.processes import stop
from tests.support.aws_server import AwsServer, aws_server, told, told_by_topic
from tests.support.events_of_stores import bridge, notification, s3_record
from tests.support.processes import RunningSystem, running_system
from tests.support.sources import example_of, running_source
from tests.support.waiting import eventually

EXAMPLE = example_of("sqs")
FILES = {f"orders-{number}": f"orders_{number}.csv" for number in range(1, 6)}


@pytest.fixture(scope="module")
def aws() -> Iterator[AwsServer]:
    with aws_server() as made:
        yield made


@pytest.fixture(scope="module")
def queue(aws: AwsServer) -> str:
    url = aws.queue("drop")
    aws.bucket("drop", **told("drop"))
    aws.bucket("by-topic", **told_by_topic(aws.topic("drop", "drop")))
    return url


@pytest.fixture(scope="module")
def system(aws: AwsServer) -> Iterator[RunningSystem]:
    with running_system(aws.env) as made:
        made.worker()
        made.beat()
        for key, name in {**FILES, "orders": "orders_9.csv"}.items():
            made.sandbox.control.define(key, FileSpec=name)
            made.sandbox.drop(name, "Key,Value\n1,one\n")
        yield made


def completed(system: RunningSystem) -> dict[str, dict[str, Any]]:
    """The file of each completed import, by definition."""
    events = [event for event in system.events() if event["type"] == "sfmc.import.completed"]
    return {event["subject"]: event["data"]["file"] for event in events}


def accepted(system: RunningSystem, name: str) -> list[dict[str, Any]]:
    """The files with this name that became a request."""
    events = [event["data"] for event in system.events() if event["type"] == "sfmc.import.accepted"]
    return [data["file"] for data in events if data["file"]["name"] == name]


def is_empty(aws: AwsServer, url: str) -> bool:
    return aws.counts(url) == (0, 0)


def test_an_upload_becomes_one_completed_import_whatever_way_its_events_take(system, aws, queue) -> None:
    aws.put("in/orders_9.csv", bucket="by-topic")
    aws.put("in/orders_9.csv", bucket="by-topic")
    with running_source(system, "drop", EXAMPLE):
        eventually(lambda: "orders" in completed(system), 30, "its import has completed")
        eventually(lambda: is_empty(aws, queue), 30, "all messages are deleted, with those of the test event")
    assert completed(system)["orders"]["name"] == "orders_9.csv"
    assert len(system.sandbox.control.performs("orders")) == 1
    assert system.run("dead-letters", "list", "--json").stdout == ""

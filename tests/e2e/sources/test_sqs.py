"""The source `sqs`: moto's server with a bucket, a topic and queues, real processes, the sandbox."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.aws_server import AwsServer, aws_server, notifying, notifying_topic
from tests.support.events_of_stores import bridge
from tests.support.processes import RunningSystem, running_system
from tests.support.sources import example_of, running_source
from tests.support.waiting import eventually

EXAMPLE = example_of("sqs")


def reading(queue: str) -> str:
    """The example with another queue: moto gives messages to the polls of processes that have ended."""
    return example_of("sqs", **{"123456789012/drop": f"123456789012/{queue}"})


@pytest.fixture(scope="module")
def aws() -> Iterator[AwsServer]:
    with aws_server() as made:
        yield made


@pytest.fixture(scope="module")
def queue(aws: AwsServer) -> str:
    url = aws.queue("drop")
    aws.bucket("drop", **notifying("drop"))
    aws.bucket("by-topic", **notifying_topic(aws.topic("drop", "drop")))
    return url


@pytest.fixture(scope="module")
def system(aws: AwsServer) -> Iterator[RunningSystem]:
    with running_system(aws.env, least_rights=True) as made:
        made.worker()
        made.beat()
        made.sandbox.control.define("orders", FileSpec="orders_9.csv")
        made.sandbox.drop("orders_9.csv", "Key,Value\n1,one\n")
        yield made


def completed(system: RunningSystem) -> dict[str, dict[str, Any]]:
    """The file of each completed import, by definition."""
    events = [event for event in system.events() if event["type"] == "sfmc.import.completed"]
    return {event["subject"]: event["data"]["file"] for event in events}


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


@pytest.mark.nightly
def test_what_cannot_be_read_is_a_dead_letter_that_can_be_replayed_and_no_other_waits_for_it(system, aws) -> None:
    queue = aws.queue("bad")
    aws.send(queue, "no JSON")
    aws.send(queue, bridge("in/other 2026+01.csv"))
    with running_source(system, "drop", reading("bad")):
        eventually(lambda: is_empty(aws, queue), 30, "both are deleted")
    [letter] = map(json.loads, system.run("dead-letters", "list", "--json").stdout.splitlines())
    assert "not JSON" in letter["detail"]
    assert system.run("dead-letters", "show", letter["id"], "--raw").stdout == "no JSON"
    unrouted = [event["data"]["file"] for event in system.events() if event["type"] == "sfmc.import.unrouted"]
    assert [(file["location"], file["name"]) for file in unrouted] == [("s3://drop/in", "other 2026+01.csv")]


def test_sigterm_ends_the_source_though_a_poll_is_under_way(system, aws) -> None:
    aws.queue("quiet")
    with running_source(system, "drop", reading("quiet")) as child:
        eventually(lambda: "sources_started" in system.log_of(child).read_text("utf-8"), 30, "it polls")
        child.terminate()
        assert child.wait(15) == 0
    assert "sources_ended" in system.log_of(child).read_text("utf-8")


@pytest.mark.nightly
def test_a_missing_queue_ends_the_source_with_one_line_that_says_so(system, aws) -> None:
    with running_source(system, "drop", reading("none")) as child:
        assert child.wait(30) == 1
    lines = [json.loads(line) for line in system.log_of(child).read_text("utf-8").splitlines()]
    [stopped] = [line for line in lines if line["event"] == "source_stopped"]
    assert "none" in stopped["reason"]
    assert stopped["fix"] == "check its name, the account and the region"

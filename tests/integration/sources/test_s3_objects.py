"""Buckets of moto's server: listed as their events tell them, and read as they come."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sfmc_import.request import FileInfo
from sfmc_producers.content_errors import ContentGoneError
from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.sources.receiving import SourceRefusedError
from sfmc_producers.sources.s3_events import parse
from sfmc_producers.sources.sqs import SqsOptions, SqsSource
from tests.support.aws_server import LOGIN, AwsServer, aws_server, notifying
from tests.support.waiting import eventually

NAMES = ["orders 1+2%20.csv", "ü -.csv", "--x.csv", "a/b.csv", "empty.csv"]


@pytest.fixture(scope="module")
def aws() -> Iterator[AwsServer]:
    with aws_server() as made:
        made.queue("drop")
        made.bucket("drop", **notifying("drop"))
        for name in NAMES:
            made.put(f"in/{name}", b"" if name == "empty.csv" else name.encode())
        made.put("in/folder/", b"")
        made.put("out/other.csv")
        yield made


@pytest.fixture
def source(aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> SqsSource:
    return opened(aws, monkeypatch, bucket="drop", prefix="in/")


def opened(aws: AwsServer, monkeypatch: pytest.MonkeyPatch, **lines: Any) -> SqsSource:
    for name, value in LOGIN.items():
        monkeypatch.setenv(name, value)
    url = "https://sqs.eu-central-1.amazonaws.com/123456789012/drop"
    options = SqsOptions(queue_url=url, endpoint_url=aws.url, **lines)

    class Parts:
        name = "drop"

    return SqsSource(options, Parts())  # type: ignore[arg-type]


def events(aws: AwsServer) -> list[Arrival]:
    found: list[Arrival] = []
    url = aws.sqs.get_queue_url(QueueName="drop")["QueueUrl"]

    def all_read() -> bool:
        for each in aws.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            found.extend(record for record in parse(each["Body"].encode()) if isinstance(record, Arrival))
        return len(found) == len(NAMES) + 1

    eventually(all_read, 10, "each upload has its event")
    return found


def test_a_listing_and_the_events_tell_the_same_files(aws, source) -> None:
    listed = {each.file for each in source.list_arrivals()}
    assert listed == {each.file for each in events(aws) if not each.file.location.endswith("/out")}
    assert len(listed) == len(NAMES)


def test_a_listing_since_a_time_has_only_what_was_changed_after_it(source) -> None:
    now = datetime.now(UTC)
    assert list(source.list_arrivals(now + timedelta(hours=1))) == []
    assert len(list(source.list_arrivals(now - timedelta(hours=1)))) == len(NAMES)


def test_a_listing_of_many_pages_comes_page_by_page(aws, monkeypatch) -> None:
    aws.bucket("many")
    for number in range(7):
        aws.put(f"{number}.csv", bucket="many")
    source = opened(aws, monkeypatch, bucket="many")
    asked: list[Any] = []
    source._s3.meta.events.register("before-call.s3.ListObjectsV2", lambda **each: asked.append(each))
    source._s3.meta.events.register("before-parameter-build.s3.ListObjectsV2", _three_at_once)
    arrivals = source.list_arrivals()
    first = [next(arrivals) for _ in range(3)]
    assert len(asked) == 1
    assert len(first) + len(list(arrivals)) == 7
    assert len(asked) == 3


def _three_at_once(params: dict[str, Any], **_: Any) -> None:
    params["MaxKeys"] = 3


def test_content_is_read_in_pieces_and_is_that_of_the_arrival(source) -> None:
    for arrival in source.list_arrivals():
        with source.open_content(arrival) as content:
            pieces = list(iter(lambda: content.read(4), b""))
        assert max(map(len, pieces), default=0) <= 4
        # The name is what was written into it.
        assert b"".join(pieces).decode().endswith("" if arrival.file.size == 0 else arrival.file.name)


def test_content_that_was_replaced_or_is_gone_is_not_that_of_the_arrival(aws, monkeypatch) -> None:
    aws.bucket("changing")
    aws.put("a.csv", bucket="changing")
    aws.put("b.csv", bucket="changing")
    source = opened(aws, monkeypatch, bucket="changing")
    replaced, gone = source.list_arrivals()
    aws.put("a.csv", b"new", bucket="changing")
    aws.s3.delete_object(Bucket="changing", Key="b.csv")
    for arrival in (replaced, gone):
        with pytest.raises(ContentGoneError, match="gone, or was replaced"):
            source.open_content(arrival)


@pytest.mark.parametrize("key", ["in/../b.csv", "./b.csv"])
def test_a_key_that_leads_elsewhere_on_the_way_is_not_asked_for(key, source) -> None:
    folder, _, name = key.rpartition("/")
    arrival = Arrival(file=FileInfo(location=f"s3://drop/{folder}", name=name))
    with pytest.raises(ContentGoneError, match="cannot be asked for"):
        source.open_content(arrival)


def test_a_missing_bucket_stops_what_wants_it_and_none_is_said_to_be_missing(aws, monkeypatch) -> None:
    with pytest.raises(SourceRefusedError, match="NoSuchBucket"):
        list(opened(aws, monkeypatch, bucket="none").list_arrivals())
    with pytest.raises(SourceRefusedError, match="no bucket to list"):
        opened(aws, monkeypatch).list_arrivals()

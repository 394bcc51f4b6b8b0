"""Buckets of moto's server: listed as their events tell them, and read as they come."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from sfmc_import.file_format import FileDescription, FileFormat, Preflight
from sfmc_import.request import FileInfo
from sfmc_producers.checked_files import look_into
from sfmc_producers.content_errors import ContentGoneError, ContentUnavailableError
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


def ranges_asked(source: SqsSource) -> list[str]:
    """The ranges of each GetObject from now on."""
    asked: list[str] = []
    events = source._s3.meta.events
    events.register("before-parameter-build.s3.GetObject", lambda params, **_: asked.append(params["Range"]))
    return asked


@pytest.fixture
def large(aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[SqsSource, Arrival, bytes]]:
    content = bytes(range(256)) * 20_000
    aws.bucket("large")
    aws.put("a.csv", content, bucket="large")
    source = opened(aws, monkeypatch, bucket="large")
    [arrival] = source.list_arrivals()
    yield source, arrival, content
    aws.s3.delete_object(Bucket="large", Key="a.csv")
    aws.s3.delete_bucket(Bucket="large")


def test_content_is_read_on_from_any_place_with_one_request_for_each_place(large) -> None:
    source, arrival, content = large
    asked = ranges_asked(source)
    with arrival.open_content() as opened:
        assert opened.seekable()
        assert b"".join(iter(lambda: opened.read(4_000_000), b"")) == content
        opened.seek(5_000_000)
        assert opened.read(200_000) == content[5_000_000:]
    assert asked == ["bytes=0-", "bytes=5000000-"]


def test_an_object_that_is_replaced_while_it_is_read_is_not_mixed(aws, large) -> None:
    _, arrival, content = large
    with arrival.open_content() as opened:
        assert opened.read(10) == content[:10]
        aws.put("a.csv", bytes(len(content)), bucket="large")
        opened.seek(5_000_000)
        with pytest.raises(ContentGoneError, match="replaced"):
            opened.read(10)


def test_an_object_of_which_no_etag_is_known_is_not_resumed(large) -> None:
    source, arrival, _ = large
    file = replace(arrival.file, version=None)
    with source.open_content(Arrival(file=file)) as opened:
        assert not opened.seekable()


def test_a_preflight_reads_the_beginning_and_ends_the_request(large) -> None:
    source, arrival, _ = large
    asked = ranges_asked(source)
    read: list[int] = []

    def open_counted() -> Any:
        content: Any = arrival.open_content()
        inner = content._ranges.read
        content._ranges.read = lambda offset, most: read.append(most) or inner(offset, most)
        return content

    assert look_into(open_counted, Preflight(rows=1, encoding="latin-1"), FileDescription(FileFormat())) is not None
    assert asked == ["bytes=0-"]
    assert sum(read) < 300_000


def test_a_body_that_is_cut_is_tried_again_and_is_no_end(monkeypatch) -> None:
    class Cut(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.send_header("ETag", '"e"')
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(b"0123456789")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Cut)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        url: Any = SimpleNamespace(url=f"http://127.0.0.1:{server.server_port}")
        source = opened(url, monkeypatch, bucket="drop")
        file = FileInfo(location="s3://drop", name="a.csv", size=100, version="e")
        with source.open_content(Arrival(file=file)) as content, pytest.raises(ContentUnavailableError):
            list(iter(lambda: content.read(100), b""))
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


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

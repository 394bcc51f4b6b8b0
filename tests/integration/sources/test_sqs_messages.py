"""The source `sqs` over moto's server and a real ledger: whatever dies, each upload is one request."""

import random
from collections.abc import Iterator
from contextlib import closing
from itertools import count, product
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
import redis as redis_py

from sfmc_local.redis_server import Valkey
from sfmc_producers.notifications import Wakeup
from sfmc_producers.sources.aws import sqs_client
from sfmc_producers.sources.receiving import SourceRefusedError
from sfmc_producers.sources.s3_events import parse
from sfmc_producers.sources.sqs import SqsMailbox, SqsOptions
from tests.support.aws_server import LOGIN, AwsServer, aws_server
from tests.support.events_of_stores import TEST_EVENT, notification, s3_record
from tests.support.queue_sources import STEPS, KilledError, Life, QueueSources, accepted_files, queue_sources, running
from tests.support.relay import relay
from tests.support.waiting import eventually

NIGHTLY = {"take": "before", "acknowledge": "after", "receive": "before after"}
MOMENTS = [
    pytest.param(step, moment, marks=[pytest.mark.nightly] if moment in NIGHTLY[step] else [])
    for step, moment in product(STEPS, ("before", "after"))
]
NUMBERS = count()


@pytest.fixture(scope="module")
def aws() -> Iterator[AwsServer]:
    with aws_server() as made:
        yield made


@pytest.fixture
def queue(aws: AwsServer) -> str:
    return aws.queue(f"drop-{next(NUMBERS)}")


def mailbox(aws: AwsServer, queue: str, monkeypatch: pytest.MonkeyPatch) -> SqsMailbox:
    for name, value in LOGIN.items():
        monkeypatch.setenv(name, value)
    # A second, where the line takes ten at least.
    options = SqsOptions(queue_url=queue, endpoint_url=aws.url).model_copy(update={"visibility": 1.0})
    return SqsMailbox(sqs_client(options.region_used, aws.url, 4), options)


@pytest.fixture
def sources(aws, queue, redis_server: Valkey, redis, monkeypatch) -> Iterator[QueueSources]:
    with queue_sources(redis_server.url, parse, lambda: mailbox(aws, queue, monkeypatch)) as made:
        yield made


def is_empty(aws: AwsServer, queue: str) -> bool:
    return aws.counts(queue) == (0, 0)


def names(redis: redis_py.Redis) -> list[str]:
    return sorted(file["name"] for file in accepted_files(redis))


@pytest.mark.parametrize(("step", "moment"), MOMENTS)
def test_whoever_dies_at_whichever_step_each_upload_is_one_request(step, moment, aws, queue, sources, redis) -> None:
    for number in range(3):
        aws.send(queue, notification(s3_record(f"orders_{number}.csv")))
    with pytest.raises(KilledError):
        sources.receiver(Life(step, moment)).run(Wakeup())
    with running(sources.receiver()):
        eventually(lambda: is_empty(aws, queue), 20, "all messages are deleted")
    assert names(redis) == [f"orders_{number}.csv" for number in range(3)]


def test_each_event_three_times_out_of_order_and_two_producers_are_one_request_for_each_content(
    aws, queue, sources, redis
) -> None:
    records = [s3_record(f"orders_{number}.csv", object={"eTag": tag}) for number in range(5) for tag in ("a", "b")]
    messages = records * 3
    random.Random(7).shuffle(messages)
    for message in messages:
        aws.send(queue, notification(message))
    with running(sources.receiver(), sources.receiver()):
        eventually(lambda: is_empty(aws, queue), 30, "all messages are deleted")
    files = accepted_files(redis)
    assert sorted((file["name"], file["version"]) for file in files) == [
        (f"orders_{number}.csv", tag) for number in range(5) for tag in ("a", "b")
    ]


def test_garbage_and_a_bad_record_are_set_aside_and_the_good_ones_beside_them_are_taken(
    aws, queue, sources, redis
) -> None:
    bad = s3_record(eventVersion="9.0")
    aws.send(queue, notification(s3_record("a.csv"), bad, s3_record("b.csv")))
    aws.send(queue, "no JSON")
    aws.send(queue, TEST_EVENT)
    aws.send(queue, notification(s3_record("..%2F..%2F-c%0Ad%00+%C3%BC.csv", object={"size": 0})))
    with running(sources.receiver()):
        eventually(lambda: is_empty(aws, queue), 20, "all messages are deleted")
    assert names(redis) == ["-c\nd\0 ü.csv", "a.csv", "b.csv"]
    assert redis.xlen("{sfmc-import:events}:transport:dead_letters") == 2


def test_while_redis_is_away_longer_than_the_visibility_no_other_gets_the_messages(
    aws, queue, own_valkey: Valkey, monkeypatch
) -> None:
    aws.send(queue, notification(s3_record("orders.csv")))
    with queue_sources(own_valkey.url, parse, lambda: mailbox(aws, queue, monkeypatch)) as sources:
        own_valkey.kill()
        with running(sources.receiver()):
            eventually(lambda: aws.counts(queue) == (0, 1), 10, "the message is in its hands")
            # Moto takes no time from us: other receivers look for two seconds and a half.
            others = aws.sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=3).get("Messages", [])
            own_valkey.restart()
            eventually(lambda: is_empty(aws, queue), 30, "it is taken and deleted")
    with redis_py.Redis.from_url(own_valkey.url) as client:
        assert [file["name"] for file in accepted_files(client)] == ["orders.csv"]
    assert others == []


def test_while_sqs_is_cut_it_is_waited_for_and_each_upload_is_one_request(
    aws, queue, redis_server: Valkey, redis, monkeypatch
) -> None:
    with relay(urlsplit(aws.url).port) as line:
        through = SimpleNamespace(url=f"http://127.0.0.1:{line.port}")
        with (
            queue_sources(redis_server.url, parse, lambda: mailbox(through, queue, monkeypatch)) as sources,
            running(sources.receiver()),
        ):
            aws.send(queue, notification(s3_record("before.csv")))
            eventually(lambda: names(redis) == ["before.csv"], 20, "the first is taken")
            for number in range(2):
                line.cut()
                aws.send(queue, notification(s3_record(f"during_{number}.csv"), s3_record("before.csv")))
                line.restore()
            eventually(lambda: is_empty(aws, queue), 30, "all messages are deleted")
    assert names(redis) == ["before.csv", "during_0.csv", "during_1.csv"]


def test_the_end_gives_messages_back_at_once(aws, queue, monkeypatch) -> None:
    aws.send(queue, "a")
    box = mailbox(aws, queue, monkeypatch)
    eventually(box.receive, 10, "the message is received")
    box.close()
    assert aws.counts(queue) == (1, 0)


def test_deliveries_are_counted_and_a_poison_message_is_set_aside_unread(aws, queue, sources, redis) -> None:
    aws.send(queue, notification(s3_record("orders.csv")))
    for _ in range(9):
        [_] = aws.sqs.receive_message(QueueUrl=queue, VisibilityTimeout=0)["Messages"]
    with running(sources.receiver()):
        eventually(lambda: is_empty(aws, queue), 20, "it is deleted")
    assert names(redis) == []
    assert redis.xlen("{sfmc-import:events}:transport:dead_letters") == 1


def test_a_missing_queue_stops_the_source(aws, monkeypatch) -> None:
    box = mailbox(aws, "https://sqs.eu-central-1.amazonaws.com/123456789012/none", monkeypatch)
    with closing(box), pytest.raises(SourceRefusedError, match="none"):
        eventually(box.receive, 10, "an answer")

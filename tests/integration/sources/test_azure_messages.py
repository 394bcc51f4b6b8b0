"""The source `azure-queue` over Storage Queues and a real ledger: whatever dies, each blob is one request."""

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import count, product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis as redis_py
from pydantic import SecretStr

from sfmc_local.redis_server import Valkey
from sfmc_producers.notifications import Wakeup
from sfmc_producers.sources.azure_queue import AzureMailbox, AzureQueueOptions, open_client, secrets_in
from sfmc_producers.sources.blob_events import parser
from sfmc_producers.sources.receiving import Message, SourceRefusedError, SourceUnavailableError
from tests.support.azure_server import azurite, azurite_program, small_server
from tests.support.events_of_stores import as_cloudevent, blob_created, blob_renamed
from tests.support.queue_sources import STEPS, KilledError, Life, QueueSources, accepted_files, queue_sources, running
from tests.support.relay import relay
from tests.support.waiting import eventually

NIGHTLY = {"take": "before", "acknowledge": "after", "receive": "before after"}
MOMENTS = [
    pytest.param(step, moment, marks=[pytest.mark.nightly] if moment in NIGHTLY[step] else [])
    for step, moment in product(STEPS, ("before", "after"))
]
NUMBERS = count()
PARSE = parser(hierarchical=False)


@pytest.fixture(scope="module", params=["small", pytest.param("azurite", marks=pytest.mark.nightly)])
def azure(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if request.param == "azurite" and azurite_program() is None:
        pytest.skip("azurite is not installed: npm install -g azurite")
    folder: Path = tmp_path_factory.mktemp("azurite")
    with small_server() if request.param == "small" else azurite(folder) as made:
        yield made


@pytest.fixture
def queue(azure: Any) -> str:
    name = f"drop-{next(NUMBERS)}"
    azure.make(name)
    return name


def mailbox(azure: Any, queue: str) -> AzureMailbox:
    # A second, where the line takes ten at least.
    options = AzureQueueOptions(queue=queue, poll_every=0.1).model_copy(update={"visibility": 1.0})
    return AzureMailbox(open_client(SecretStr(azure.connection), queue), options)


@pytest.fixture
def sources(azure, queue, redis_server: Valkey, redis) -> Iterator[QueueSources]:
    with queue_sources(redis_server.url, PARSE, lambda: mailbox(azure, queue)) as made:
        yield made


def received(box: AzureMailbox) -> Sequence[Message]:
    with closing(box):
        return box.receive()


def is_empty(azure: Any, queue: str) -> bool:
    return azure.count(queue) == 0


def names(redis: redis_py.Redis) -> list[str]:
    return sorted(file["name"] for file in accepted_files(redis))


@pytest.mark.parametrize(("step", "moment"), MOMENTS)
def test_whoever_dies_at_whichever_step_each_blob_is_one_request(step, moment, azure, queue, sources, redis) -> None:
    for number in range(3):
        azure.send(queue, blob_created(f"orders_{number}.csv"))
    with pytest.raises(KilledError):
        sources.receiver(Life(step, moment)).run(Wakeup())
    with running(sources.receiver()):
        eventually(lambda: is_empty(azure, queue), 20, "all messages are deleted")
    assert names(redis) == [f"orders_{number}.csv" for number in range(3)]


def test_each_event_three_times_and_two_producers_are_one_request_for_each_content(
    azure, queue, sources, redis
) -> None:
    events = [blob_created(f"orders_{number}.csv", eTag=tag) for number in range(4) for tag in ("a", '"b"')]
    for event in [*events, *events[::-1], blob_renamed(), *map(as_cloudevent, events), blob_renamed()]:
        azure.send(queue, event)
    with running(sources.receiver(), sources.receiver()):
        eventually(lambda: is_empty(azure, queue), 30, "all messages are deleted")
    found = sorted((file["name"], file.get("version")) for file in accepted_files(redis))
    blobs = [(f"orders_{number}.csv", tag) for number in range(4) for tag in ("a", "b")]
    assert found == [("orders 1.csv", None), *blobs]


def test_garbage_and_a_bad_event_are_set_aside_and_the_good_ones_beside_them_are_taken(
    azure, queue, sources, redis
) -> None:
    azure.send(queue, [blob_created("a.csv"), {"eventType": "Other"}, blob_created("../-b ü.csv", contentLength=0)])
    azure.send(queue, "%%% no base64 <&>")
    azure.send(queue, blob_created("c.csv"), plain=True)
    with running(sources.receiver()):
        eventually(lambda: is_empty(azure, queue), 20, "all messages are deleted")
    assert names(redis) == ["-b ü.csv", "a.csv", "c.csv"]
    assert redis.xlen("{sfmc-import:events}:transport:dead_letters") == 2


def test_while_redis_is_away_longer_than_the_visibility_no_other_gets_the_messages(
    azure, queue, own_valkey: Valkey
) -> None:
    azure.send(queue, blob_created())
    other = mailbox(azure, queue)
    with queue_sources(own_valkey.url, PARSE, lambda: mailbox(azure, queue)) as sources:
        own_valkey.kill()
        with running(sources.receiver()):
            eventually(lambda: azure.visible(queue) == 0, 10, "the message is in its hands")
            # Each look waits a tenth of a second: together longer than the visibility.
            seen = [found for _ in range(20) if (found := other.receive())]
            own_valkey.restart()
            eventually(lambda: is_empty(azure, queue), 30, "it is taken and deleted with its newest receipt")
    other.close()
    with redis_py.Redis.from_url(own_valkey.url) as client:
        assert names(client) == ["orders_1.csv"]
    assert seen == []


def test_while_the_service_is_cut_it_is_waited_for_and_each_blob_is_one_request(
    azure, queue, redis_server: Valkey, redis
) -> None:
    [(address, port)] = re.findall(r"QueueEndpoint=(http://127.0.0.1:(\d+))", azure.connection)
    with relay(int(port)) as line:
        through = SimpleNamespace(connection=azure.connection.replace(address, f"http://127.0.0.1:{line.port}"))
        with (
            queue_sources(redis_server.url, PARSE, lambda: mailbox(through, queue)) as sources,
            running(sources.receiver()),
        ):
            azure.send(queue, blob_created("before.csv"))
            eventually(lambda: names(redis) == ["before.csv"], 20, "the first is taken")
            for number in range(2):
                line.cut()
                azure.send(queue, [blob_created(f"during_{number}.csv"), blob_created("before.csv")])
                line.restore()
            eventually(lambda: is_empty(azure, queue), 30, "all messages are deleted")
    assert names(redis) == ["before.csv", "during_0.csv", "during_1.csv"]


def test_only_the_newest_receipt_deletes_and_what_another_has_is_left_to_it(azure, queue) -> None:
    azure.send(queue, blob_created())
    first, second = mailbox(azure, queue), mailbox(azure, queue)
    [message] = first.receive()
    first.keep([message])
    [same] = eventually(second.receive, 10, "its visibility is over")
    assert (same.id, same.deliveries) == (message.id, 2)
    first.acknowledge([message])
    assert azure.count(queue) == 1
    second.acknowledge([same])
    assert azure.count(queue) == 0
    first.close()
    second.close()


def test_the_end_gives_messages_back_at_once(azure, queue) -> None:
    azure.send(queue, blob_created())
    box = mailbox(azure, queue)
    assert box.receive()
    box.close()
    assert azure.visible(queue) == 1


def test_a_missing_queue_and_a_refused_login_stop_the_source(azure) -> None:
    with pytest.raises(SourceRefusedError, match="QueueNotFound"):
        received(mailbox(azure, "none"))
    wrong = azure.connection.replace("AccountKey=", "AccountKey=QUFB")
    queue = "forbidden"
    with pytest.raises(SourceRefusedError, match="login"):
        received(AzureMailbox(open_client(SecretStr(wrong), queue), AzureQueueOptions(queue=queue)))


def test_a_service_that_does_not_answer_is_waited_for() -> None:
    connection = "AccountName=acc;AccountKey=QUFB;QueueEndpoint=http://127.0.0.1:9/acc"
    with pytest.raises(SourceUnavailableError):
        received(AzureMailbox(open_client(SecretStr(connection), "drop"), AzureQueueOptions(queue="drop")))


def test_the_secrets_of_a_connection_string_are_known_as_they_stand_in_addresses_too() -> None:
    connection = "QueueEndpoint=https://acc/;SharedAccessSignature=sv=1&sp=rup&sig=ab%2Bc%3D"
    assert set(secrets_in(connection)) == {"ab+c=", "ab%2Bc%3D"}
    assert secrets_in("AccountName=acc;AccountKey=QUFB==") == ["QUFB=="]

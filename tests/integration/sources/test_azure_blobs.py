"""Blobs of an arrival are read as they come, from any place on, and of no other upload."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient
from pydantic import SecretStr

from sfmc_producers.content_errors import ContentGoneError, ContentLockedError
from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.sources.azure_blobs import BLOCK_BYTES, Blobs
from sfmc_producers.sources.blob_events import parser
from tests.support.azure_blobs import BlobServer, blob_server
from tests.support.azure_server import KEY, Azurite, azurite, azurite_program, packed
from tests.support.events_of_stores import blob_created, blob_renamed

CONTENT = os.urandom(BLOCK_BYTES + 1000)


@pytest.fixture
def server() -> Iterator[BlobServer]:
    with blob_server() as made:
        made.put("drop/in/ü 1+2.csv", CONTENT, "0x8D4B")
        yield made


def blobs(server: BlobServer) -> Blobs:
    return Blobs(SecretStr(f"AccountName=acc;AccountKey={KEY};{server.endpoint}"), "SFMC_SOURCE_DROP_CONNECTION")


def arrival(event: object) -> Arrival:
    [found] = parser(hierarchical=False)(packed(event, plain=False).encode())
    assert isinstance(found, Arrival)
    return found


def announced(**data: object) -> Arrival:
    return arrival(blob_created("in/ü 1+2.csv", contentLength=len(CONTENT), **data))


def test_a_blob_is_read_in_pieces_and_from_any_place_on(server) -> None:
    with blobs(server).with_content(announced()).open_content() as content:
        assert content.seekable()
        pieces = list(iter(lambda: content.read(4 * 1024 * 1024), b""))
        assert b"".join(pieces) == CONTENT
        assert max(map(len, pieces)) <= 1024 * 1024
        content.seek(BLOCK_BYTES + 10)
        assert content.read(1000) == CONTENT[BLOCK_BYTES + 10 :]


def test_the_beginning_of_a_blob_costs_one_request_for_a_part_of_it(server) -> None:
    with blobs(server).open_content(announced().file) as content:
        content.read(100)
    assert server.asked == [f"0-{BLOCK_BYTES - 1}"]


def test_a_blob_that_is_replaced_while_it_is_read_is_not_mixed(server) -> None:
    with blobs(server).open_content(announced().file) as content:
        assert content.read(10) == CONTENT[:10]
        server.put("drop/in/ü 1+2.csv", bytes(len(CONTENT)), "0x8D4C")
        content.seek(BLOCK_BYTES)
        with pytest.raises(ContentGoneError, match="replaced"):
            content.read(10)


def test_a_blob_that_is_gone_or_has_another_etag_or_size_is_not_the_one_that_arrived(server) -> None:
    for wrong in (announced(eTag="0x8D4C"), arrival(blob_created("in/ü 1+2.csv")), arrival(blob_created("other.csv"))):
        with pytest.raises(ContentGoneError):
            blobs(server).open_content(wrong.file)


def test_a_blob_of_which_no_etag_is_known_is_read_as_one_version_and_not_resumed(server) -> None:
    server.put("drop/in/orders 1.csv", CONTENT, "0x1")
    with blobs(server).open_content(arrival(blob_renamed()).file) as content:
        assert not content.seekable()
        assert content.read(10) == CONTENT[:10]
        server.put("drop/in/orders 1.csv", CONTENT, "0x2")
        content.seek(BLOCK_BYTES)
        with pytest.raises(ContentGoneError):
            content.read(10)


@pytest.mark.parametrize(
    "connection",
    [
        pytest.param(f"AccountName=other;AccountKey={KEY}", id="another account"),
        pytest.param("QueueEndpoint=https://acc.queue.core.windows.net;SharedAccessSignature=sig=x", id="of the queue"),
    ],
)
def test_a_login_for_something_else_is_named_by_its_variable(connection) -> None:
    with pytest.raises(ContentLockedError, match="SFMC_SOURCE_DROP_CONNECTION"):
        Blobs(SecretStr(connection), "SFMC_SOURCE_DROP_CONNECTION").open_content(announced().file)


def test_a_name_that_leads_elsewhere_on_the_way_is_not_asked_for(server) -> None:
    with pytest.raises(ContentGoneError, match="cannot be asked for"):
        blobs(server).open_content(arrival(blob_created("in/../x.csv")).file)
    assert server.asked == []


@pytest.mark.nightly
@pytest.mark.skipif(azurite_program() is None, reason="azurite is not installed: npm install -g azurite")
def test_a_blob_of_azurite_is_read(tmp_path: Path) -> None:
    with azurite(tmp_path) as made:
        check_azurite(made)


def check_azurite(made: Azurite) -> None:
    with BlobServiceClient.from_connection_string(made.connection) as service:
        service.create_container("drop")
        item = service.get_blob_client("drop", "in/ü 1+2.csv")
        etag = item.upload_blob(CONTENT)["etag"]
        event = blob_created("in/ü 1+2.csv", contentLength=len(CONTENT), eTag=etag.strip('"'))
        event["topic"] = event["topic"].replace("/acc", "/devstoreaccount1")
        reader = Blobs(SecretStr(made.connection), "X")
        with reader.open_content(arrival(event).file) as content:
            assert b"".join(iter(lambda: content.read(BLOCK_BYTES), b"")) == CONTENT
        item.upload_blob(b"other", overwrite=True)
        with pytest.raises(ContentGoneError):
            reader.open_content(arrival(event).file)

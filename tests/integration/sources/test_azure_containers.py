"""A container of Azure is listed page by page, and each blob is what its event says it is."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.sources.azure_containers import QUIET_SECONDS, BlobContainer
from sfmc_producers.sources.blob_events import parser
from sfmc_producers.sources.receiving import SourceRefusedError, SourceUnavailableError
from tests.support.azure_containers import Blob, ContainerServer, container_server
from tests.support.azure_server import packed
from tests.support.events_of_stores import blob_created

NAMES = ["a.csv", "in/b c.csv", "in/ü.csv", "in/-rf", "in/x\ny.csv", "../..csv", "in/%41.csv", "in/&<.csv"]
NOW = 1_800_000_000.0


@pytest.fixture
def server() -> Iterator[ContainerServer]:
    with container_server() as made:
        made.containers["drop"] = [Blob(name) for name in NAMES]
        yield made


def container(server: ContainerServer, **more: Any) -> BlobContainer:
    usual = {"container": "drop", "prefix": "", "hierarchical": False, "now": lambda: NOW}
    return BlobContainer(SecretStr(server.connection), "SFMC_SOURCE_DROP_CONNECTION", **{**usual, **more})


def names(found: BlobContainer) -> list[str]:
    return [f"{each.file.location}/{each.file.name}" for each in found.list_arrivals()]


def test_a_listed_blob_is_the_file_of_its_event(server) -> None:
    listed = {each.file.name: each.file for each in container(server).list_arrivals()}
    for name in NAMES:
        [said] = parser(hierarchical=False)(packed(blob_created(name), plain=False).encode())
        assert isinstance(said, Arrival)
        assert listed[said.file.name].fingerprint == said.file.fingerprint, name


def test_every_page_is_listed_and_no_more_than_one_lies_in_memory(server) -> None:
    server.page = 2
    found = container(server).list_arrivals()
    next(found)
    assert len(server.asked) == 1
    assert len(list(found)) == len(NAMES) - 1
    assert len(server.asked) == 4


def test_only_what_begins_with_the_prefix_is_listed(server) -> None:
    assert names(container(server, prefix="in/b")) == ["azure://acc/drop/in/b c.csv"]


def test_folders_and_blobs_that_are_created_empty_are_no_arrivals(server) -> None:
    server.containers["drop"] = [
        Blob("in", size=0, metadata={"hdi_isfolder": "true"}),
        Blob("log.csv", kind="AppendBlob"),
        Blob("disk.csv", kind="PageBlob"),
        Blob("in/a.csv"),
    ]
    assert names(container(server)) == ["azure://acc/drop/in/a.csv"]


def test_with_a_hierarchical_namespace_a_file_that_was_just_changed_may_still_grow(server) -> None:
    server.containers["drop"] = [
        Blob("new.csv", changed_at=NOW - QUIET_SECONDS + 1),
        Blob("old.csv", changed_at=NOW - QUIET_SECONDS),
    ]
    assert names(container(server, hierarchical=True)) == ["azure://acc/drop/old.csv"]
    assert len(names(container(server))) == 2


def test_the_time_of_a_blob_says_whether_it_is_old(server) -> None:
    [found] = container(server, prefix="a.csv").list_arrivals()
    assert found.last_changed == Blob("a.csv").changed_at


@pytest.mark.parametrize(
    ("name", "connection", "text", "fix"),
    [
        ("forbidden", None, "the login is refused", "check SFMC_SOURCE_DROP_CONNECTION"),
        ("missing", None, "it is not there", "check its name"),
        (
            "drop",
            "QueueEndpoint=https://acc.queue.core.windows.net;SharedAccessSignature=sv=1&sig=x",
            "has no address",
            "",
        ),
    ],
    ids=["forbidden", "missing", "for queues alone"],
)
def test_what_a_person_must_correct_is_one_line(server, name, connection, text, fix) -> None:
    found = container(server, container=name)
    if connection is not None:
        found._connection = SecretStr(connection)
    with pytest.raises(SourceRefusedError, match=text) as refusal:
        list(found.list_arrivals())
    assert fix in refusal.value.fix
    assert "sig=x" not in str(refusal.value)


def test_a_listing_that_is_cut_in_the_middle_says_so_and_what_came_before_counts(server) -> None:
    server.page, server.cut_after = 2, 1
    found = container(server).list_arrivals()
    assert [next(found).file.name for _ in range(2)] == ["a.csv", "b c.csv"]
    with pytest.raises(SourceUnavailableError, match="container drop"):
        next(found)

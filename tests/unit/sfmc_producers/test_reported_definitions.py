"""A watcher says once in its report by which old lists of definitions it routes."""

from datetime import UTC, datetime

from sfmc_import.definitions import OldList
from sfmc_producers.reporting import MAX_TEXT, OLD_SAID_SECONDS
from sfmc_producers.submitter import RoutingRules, Submitter
from tests.support.fake_client import FakeClient

FOLDERS = [{"folder": "/a", "location": "/a"}, {"folder": "/b", "location": "/b"}]


def said(client: FakeClient) -> object:
    rules = RoutingRules(definitions=client)  # type: ignore[arg-type]
    submitter = Submitter(client, rules, lambda: 0.0, lambda: datetime.now(UTC))  # type: ignore[arg-type]
    assert submitter.note_folders("h:1:x", FOLDERS)
    return client.folders["h:1:x"]


def old(tried_ago: float) -> OldList:
    return OldList("7", 60.04, 600.0, tried_ago, "circuit_open", "x" * 500)


def test_an_old_list_stands_at_the_first_folder_as_long_as_it_is_asked_for() -> None:
    expected = {"mid": "7", "age": 60.0, "looked": 600.0, "code": "circuit_open", "text": "x" * (MAX_TEXT - 1) + "…"}

    assert said(FakeClient(old=[old(5.0)])) == [{**FOLDERS[0], "definitions": [expected]}, FOLDERS[1]]
    assert said(FakeClient(old=[old(OLD_SAID_SECONDS)])) == FOLDERS


def test_the_end_of_a_watcher_says_nothing_of_lists() -> None:
    client = FakeClient(old=[old(5.0)])
    rules = RoutingRules(definitions=client)  # type: ignore[arg-type]
    submitter = Submitter(client, rules, lambda: 0.0, lambda: datetime.now(UTC))  # type: ignore[arg-type]
    submitter.note_folders("h:1:x", None)

    assert client.folders == {"h:1:x": None}

"""A watcher says once in its report by which old lists of definitions it routes."""

import time
from datetime import UTC, datetime

from structlog.testing import capture_logs

from sfmc_import.definitions import OldList
from sfmc_producers.reporting import MAX_TEXT, ListReader, Reporter
from sfmc_producers.submitter import RoutingRules, Submitter
from tests.support.fake_client import FakeClient
from tests.support.waiting import eventually

FOLDERS = [{"folder": "/a", "location": "/a"}, {"folder": "/b", "location": "/b"}]


def said(client: FakeClient) -> object:
    rules = RoutingRules(definitions=client)  # type: ignore[arg-type]
    submitter = Submitter(client, rules, lambda: 0.0, lambda: datetime.now(UTC))  # type: ignore[arg-type]
    assert submitter.note_folders("h:1:x", FOLDERS)
    return client.folders["h:1:x"]


def old() -> OldList:
    return OldList("7", 60.04, 600.0, "circuit_open", "x" * 500)


def test_an_old_list_stands_at_the_first_folder_until_it_is_read_anew() -> None:
    expected = {"mid": "7", "age": 60.0, "looked": 600.0, "code": "circuit_open", "text": "x" * (MAX_TEXT - 1) + "…"}

    assert said(FakeClient(old=[old()])) == [{**FOLDERS[0], "definitions": [expected]}, FOLDERS[1]]
    assert said(FakeClient()) == FOLDERS


def test_it_says_once_with_which_login_it_reads_its_lists() -> None:
    assert said(FakeClient(login="ab12")) == [{**FOLDERS[0], "login": "ab12"}, FOLDERS[1]]


def test_the_end_of_a_watcher_says_nothing_of_lists() -> None:
    client = FakeClient(old=[old()])
    rules = RoutingRules(definitions=client)  # type: ignore[arg-type]
    submitter = Submitter(client, rules, lambda: 0.0, lambda: datetime.now(UTC))  # type: ignore[arg-type]
    submitter.note_folders("h:1:x", None)

    assert client.folders == {"h:1:x": None}


def test_while_a_process_reports_it_reads_old_lists_anew_although_no_file_comes() -> None:
    client = FakeClient(old=[old()])
    rules = RoutingRules(definitions=client)  # type: ignore[arg-type]
    submitter = Submitter(client, rules, lambda: 0.0, lambda: datetime.now(UTC))  # type: ignore[arg-type]
    reporter = Reporter(submitter, lambda: "same", lambda _: [], time.monotonic)
    reporter.start()
    eventually(lambda: not client.old, within=30, description="the list is read")
    reporter.stop()
    reporter.join(30)

    assert not reporter.is_alive()


def test_a_defect_while_a_list_is_read_is_logged_and_it_is_read_again() -> None:
    def read() -> None:
        raise RuntimeError("never seen before")

    with capture_logs() as logs:
        ListReader(read).look()

    assert [each["event"] for each in logs] == ["definitions_not_refreshed"]

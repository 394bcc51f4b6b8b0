"""A scan of the source looks twice, takes what was the same in both, and closes its connection."""

import threading
import time

import pytest
from structlog.testing import capture_logs

from sfmc_producers.notifications import Wakeup
from sfmc_producers.sources.receiving import SourceUnavailableError
from sfmc_producers.sources.scanning import Listable, ListedTwice, Scan, ScannedSource, submit_with
from tests.support.waiting import eventually


def scan(watched, between=lambda: None):
    """Scan on the clock of the test; gives the names of new files."""

    def wait(seconds):
        watched.now += seconds
        between()

    made = Scan(watched.source, submit_with(watched.source._intake), None, wait)
    return [each.file.name for each in made.run()]


def test_a_scan_takes_what_did_not_change_between_two_looks_and_twice_takes_nothing_new(watched, client, server):
    watched.restart(recursive=True, marker=".done")
    for name in ("contacts.csv", "eu/orders.csv", "growing.csv"):
        watched.put(name)
        watched.put(f"{name}.done", "")
    client.define("growing", "growing.csv")

    assert scan(watched, lambda: watched.put("growing.csv", "id\n1\n2\n")) == ["contacts.csv", "orders.csv"]
    assert scan(watched) == ["growing.csv"]
    assert scan(watched) == []
    assert watched.names() == sorted(["contacts.csv", "contacts.csv.done", "eu", "growing.csv", "growing.csv.done"])
    eventually(lambda: not server.open, 10, "the connection of the scan is closed")


def test_a_scan_and_the_source_make_one_request_of_a_file(watched, client):
    watched.put("contacts.csv")
    watched.pass_time(2)
    assert scan(watched) == []
    watched.put("orders.csv")
    assert scan(watched) == ["orders.csv"]
    assert "file_submitted" not in watched.events(2)
    assert len(client.requests) == 2


def test_a_scan_that_is_stopped_between_its_looks_takes_nothing(watched, client, server):
    watched.put("contacts.csv")
    assert list(watched.source.list_stable(lambda _: True)) == []
    eventually(lambda: not server.open, 10, "the connection is closed")


def test_a_folder_that_cannot_be_listed_is_said(watched, server):
    (server.root / "in").rmdir()
    with pytest.raises(SourceUnavailableError, match="cannot be listed"):
        scan(watched)
    eventually(lambda: not server.open, 10, "the connection is closed")


def test_scans_beside_the_source_use_its_connections_and_all_are_closed_at_the_end(watched, client, server):
    assert isinstance(watched.source, Listable)
    assert isinstance(watched.source, ListedTwice)
    watched.restart(every=0.05, stable=0.05, connections=1, pattern="orders.csv")
    watched.source._clock = time.monotonic
    watched.put("orders.csv")
    both = ScannedSource(watched.source, watched.source, watched.source._intake, 0.05, lambda: 0.0)
    wakeup = Wakeup()
    with capture_logs() as lines:
        thread = threading.Thread(target=both.run, args=(wakeup,))
        thread.start()
        try:
            eventually(lambda: [each["event"] for each in lines].count("source_scanned") >= 2, 20, "two scans")
        finally:
            wakeup.stop()
            thread.join(20)
    eventually(lambda: not server.open, 10, "every connection is closed")
    assert (server.peak, len(client.requests)) == (1, 1)
    assert not {each.name for each in threading.enumerate()} & {"sfmc-scan-drop", "sfmc-sftp"}


def test_the_end_of_a_source_does_not_wait_for_the_pause_of_its_scan(watched, server):
    watched.restart(every=0.05, stable=3600)
    watched.source._clock = time.monotonic
    both = ScannedSource(watched.source, watched.source, watched.source._intake, 3600, lambda: 0.0)
    wakeup = Wakeup()
    thread = threading.Thread(target=both.run, args=(wakeup,))
    thread.start()
    eventually(lambda: server.connections, 10, "it has connected")
    wakeup.stop()
    thread.join(20)
    assert not [each for each in threading.enumerate() if each.name in {"sfmc-scan-drop", "sfmc-sftp"}]

"""A process that ends waits for no query, and for a start only as long as it may take; nothing new is sent."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from sfmc_import.faults import Ambiguous, NotApplied
from tests.integration.marketing_cloud.misbehaving import CERTIFICATE, MisbehavingServer
from tests.support.waiting import eventually

MID = "510001234"
EVER = float("inf")
PATIENT = {"read_timeout": 300.0, "reading_timeout": 300.0, "query_deadline": 300.0}


def silent(connection):
    connection.read()
    connection.wait_for_the_end()


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_queries_are_cut_at_once_and_starts_when_their_time_is_over(adapter, tls):
    with MisbehavingServer(silent, tls=tls) as server, ThreadPoolExecutor() as threads:
        client = adapter(server.url, verify=str(CERTIFICATE), **PATIENT)
        start = threads.submit(client.start, MID, "orders", not_after=EVER)
        eventually(lambda: len(server.requests) == 1, 20, "the start was sent")
        query = threads.submit(client.definition, MID, "orders")
        eventually(lambda: len(server.requests) == 2, 20, "the query was sent")
        client.stop(0.2)
        cut, ambiguous = query.result(60), start.result(60)
        sent = len(server.requests)
        late = client.start(MID, "orders", not_after=EVER)
        also_late = client.definition(MID, "orders")

    assert (type(cut), type(ambiguous)) == (NotApplied, Ambiguous)
    assert [(type(each), each.code) for each in (late, also_late)] == [(NotApplied, "not_sent")] * 2
    assert len(server.requests) == sent

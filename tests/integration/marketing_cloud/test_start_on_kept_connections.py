"""Perform on the connection that answered a query a moment ago: what its end at each instant means."""

import threading
from urllib.parse import urlsplit

import pytest

from sfmc_import.faults import Ambiguous
from sfmc_import.marketing_cloud import PlainSecret
from sfmc_import.marketing_cloud.exchange import (
    KeptConnections,
    SplitPost,
)
from sfmc_import.marketing_cloud.http import Connector, Deadline, Failed, Reply
from sfmc_import.proxies import Proxies
from sfmc_import.runs import Accepted
from tests.integration.marketing_cloud.misbehaving import CERTIFICATE, MisbehavingServer
from tests.integration.marketing_cloud.test_deadlines_and_sizes import trusting
from tests.support.fake_soap_replies import fault, found, performed, row

MID = "510001234"
EVER = float("inf")
ORDERS = found(row(CustomerKey="orders"))
LONG = 60.0
BODY = b"<x/>" * 100


def query_and_start(service, not_after=EVER):
    assert service.definition(MID, "orders").customer_key == "orders"
    return service.start(MID, "orders", not_after=not_after)


def serve(connection):
    """Answer as the service does, for as long as the client wants."""
    while request := connection.read():
        connection.answer(performed() if is_perform(request) else ORDERS)


def is_perform(request):
    return b'SOAPAction: "Perform"' in request


def performs(server):
    return [request for request in server.requests if is_perform(request)]


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_start_goes_over_the_connection_that_answered_the_query_and_leaves_it_to_the_next(adapter, tls):
    with MisbehavingServer(serve, tls=tls) as server:
        service = adapter(server.url, verify=str(CERTIFICATE))
        for _ in range(3):
            assert isinstance(query_and_start(service), Accepted)

        assert (server.connections, len(server.requests)) == (1, 6)
    assert not any(b"Connection: close" in request for request in server.requests)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("ending", ["closed", "reset", "stray"])
def test_a_connection_that_ended_or_spoke_after_its_answer_is_not_used(adapter, tls, ending):
    ended = threading.Event()

    def once(connection):
        connection.read()
        connection.answer(ORDERS)
        answered.wait(LONG)
        if ending == "stray":
            connection.send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        else:
            (connection.reset if ending == "reset" else connection.socket.close)()
        ended.set()
        server.ended.wait(LONG)

    answered = threading.Event()
    with MisbehavingServer(once, serve, tls=tls) as server:
        service = adapter(server.url, verify=str(CERTIFICATE))
        service.definition(MID, "orders")
        answered.set()
        assert ended.wait(LONG)

        assert isinstance(service.start(MID, "orders", not_after=EVER), Accepted)
        assert (server.connections, len(performs(server))) == (2, 1)


def kept_connection(server, kept):
    """A connection to this server that answered a moment ago."""
    connection = Connector(trusting, Proxies(), LONG).connect(urlsplit(server.url), Deadline(LONG))
    kept.give_back(urlsplit(server.url), connection)
    return connection


def split_post(server, kept):
    return SplitPost(server.url, {}, Connector(trusting, Proxies(), LONG), LONG, kept=kept)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_connection_that_ends_after_the_check_and_before_the_last_bytes_costs_a_new_one(tls):
    gone, checked = threading.Event(), threading.Event()
    asked = []

    def ends(connection):
        checked.wait(LONG)
        connection.socket.close()
        gone.set()

    def may_send():
        asked.append(len(asked))
        checked.set()
        return gone.wait(LONG)

    with MisbehavingServer(ends, serve, tls=tls) as server:
        kept = KeptConnections()
        kept_connection(server, kept)
        answer = split_post(server, kept)(BODY, may_send)

        assert isinstance(answer, Reply)
        assert (server.connections, len(server.requests), len(asked)) == (2, 1, 2)


def test_an_answer_before_the_last_bytes_belongs_to_something_else_and_costs_a_new_connection():
    spoken, checked = threading.Event(), threading.Event()
    received = []

    def speaks(connection):
        checked.wait(LONG)
        connection.answer(performed("7"))
        spoken.set()
        while piece := connection.socket.recv(65536):
            received.append(piece)

    def may_send():
        checked.set()
        return spoken.wait(LONG)

    with MisbehavingServer(speaks, serve) as server:
        kept = KeptConnections()
        kept_connection(server, kept)
        answer = split_post(server, kept)(BODY, may_send)

        assert isinstance(answer, Reply)
        assert b"<ID>7</ID>" not in answer.content
        assert len(server.requests) == 1
    assert not b"".join(received).endswith(BODY)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("ending", ["closed", "reset"])
def test_a_connection_that_ends_after_the_last_byte_is_ambiguous_and_nothing_is_sent_again(adapter, tls, ending):
    def behave(connection):
        connection.read()
        connection.answer(ORDERS)
        connection.read()
        if ending == "reset":
            connection.reset()

    with MisbehavingServer(behave, serve, tls=tls) as server:
        verdict = query_and_start(adapter(server.url, verify=str(CERTIFICATE)))

        assert isinstance(verdict, Ambiguous), verdict
        assert (server.connections, len(performs(server))) == (1, 1)


def test_a_start_whose_time_is_over_sends_nothing_over_a_kept_connection_either(adapter):
    with MisbehavingServer(serve) as server:
        assert query_and_start(adapter(server.url), not_after=0.0).code == "lease_over"
        assert performs(server) == []


def test_the_time_is_asked_again_before_the_new_connection_sends():
    answers = iter([True, False])
    gone = threading.Event()

    def ends(connection):
        connection.socket.close()
        gone.set()

    with MisbehavingServer(ends, serve) as server:
        kept = KeptConnections()
        kept_connection(server, kept)

        def may_send():
            # The end is not seen by the check before.
            return gone.wait(LONG) and next(answers)

        answer = split_post(server, AsItIs(kept))(BODY, may_send)

        assert isinstance(answer, Failed)
        assert (answer.situation, server.requests) == ("lease_over", [])


class AsItIs:
    """Gives a kept connection without a look at it."""

    def __init__(self, kept):
        self._kept = kept._kept

    def take(self, address, _):
        pool = self._kept[address.scheme, address.netloc]
        return pool.pop()[1] if pool else None

    def give_back(self, _, connection):
        connection.close()


def test_a_refused_token_is_renewed_and_the_second_start_needs_no_connection_of_its_own(adapter):
    expired, token = fault(None, "Token Expired", "q0:Security"), b'{"access_token": "t", "expires_in": 1000}'
    replies = [token, ORDERS, expired, token, performed()]

    def behave(connection):
        while connection.read():
            content = replies.pop(0)
            connection.answer(content, "500 Oops" if content is expired else "200 OK")

    with MisbehavingServer(behave) as server:
        service = adapter(server.url, auth_url=server.url, client_id="c", client_secret=PlainSecret("s"))
        assert isinstance(query_and_start(service), Accepted)
        assert (server.connections, len(performs(server))) == (1, 2)


def test_an_answer_that_closes_the_connection_is_the_last_on_it(adapter):
    def behave(connection):
        while request := connection.read():
            connection.answer(performed() if is_perform(request) else ORDERS, Connection="close")

    with MisbehavingServer(behave) as server:
        assert isinstance(query_and_start(adapter(server.url)), Accepted)
        assert server.connections == 2

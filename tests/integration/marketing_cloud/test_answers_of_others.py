"""An answer is that of its own request: interim ones are skipped, and one that names another request is not taken."""

import re

import pytest

from sfmc_import.faults import Ambiguous
from sfmc_import.runs import Accepted
from tests.integration.marketing_cloud.misbehaving import MisbehavingServer
from tests.support.fake_soap_replies import found, performed, row

MID = "510001234"
EVER = float("inf")
ORDERS = found(row(CustomerKey="orders"))
MESSAGE_ID = re.compile(rb"MessageID(?: [^>]*)?>([^<]+)<")


def is_perform(request: bytes) -> bool:
    return b'SOAPAction: "Perform"' in request


def relating(content: bytes, message_id: bytes) -> bytes:
    """Let a reply name the request that it answers, as the service does."""
    named = b"<wsa:RelatesTo>%s</wsa:RelatesTo></soap:Header>" % message_id
    assert b"</soap:Header>" in content
    return content.replace(b"</soap:Header>", named)


@pytest.mark.parametrize("interim", ["102 Processing", "103 Early Hints", "100 Continue"])
@pytest.mark.parametrize("times", [1, 3])
def test_interim_answers_are_skipped_and_the_connection_stays_in_step(adapter, interim, times):
    def serve(connection):
        while request := connection.read():
            for _ in range(times):
                connection.send(f"HTTP/1.1 {interim}\r\nLink: </a>\r\n\r\n".encode())
            connection.answer(performed() if is_perform(request) else ORDERS)

    with MisbehavingServer(serve) as server:
        service = adapter(server.url)
        for _ in range(3):
            assert service.definition(MID, "orders").customer_key == "orders"
            assert isinstance(service.start(MID, "orders", not_after=EVER), Accepted)
        assert (server.connections, len(server.requests)) == (1, 6)


@pytest.mark.parametrize("first", ["HTTP/1.1 101 Switching Protocols", "HTTP/1.1 103 Early Hints"])
def test_interim_answers_without_a_final_one_are_no_answer(adapter, first):
    def serve(connection):
        connection.read()
        connection.send(f"{first}\r\n\r\n".encode() * 50)

    with MisbehavingServer(serve, serve, serve, serve, serve) as server:
        assert isinstance(adapter(server.url).start(MID, "orders", not_after=EVER), Ambiguous)
        assert len(server.requests) == 1


def test_an_answer_that_names_another_request_is_not_taken_and_ends_its_connection(adapter):
    def serve(connection):
        while request := connection.read():
            if is_perform(request):
                connection.answer(relating(performed(), b"urn:uuid:of-another"))
            else:
                connection.answer(relating(ORDERS, MESSAGE_ID.search(request)[1]))

    with MisbehavingServer(serve) as server:
        service = adapter(server.url)
        assert service.definition(MID, "orders").customer_key == "orders"
        assert isinstance(service.start(MID, "orders", not_after=EVER), Ambiguous)
        assert service.definition(MID, "orders").customer_key == "orders"
        assert server.connections == 2


def test_a_query_whose_answer_names_another_request_is_asked_again(adapter):
    asked = []

    def serve(connection):
        while request := connection.read():
            asked.append(request)
            own = MESSAGE_ID.search(request)[1]
            connection.answer(relating(ORDERS, b"urn:uuid:of-another" if len(asked) == 1 else own))

    with MisbehavingServer(serve) as server:
        assert adapter(server.url).definition(MID, "orders").customer_key == "orders"
        assert (server.connections, len(asked)) == (2, 2)

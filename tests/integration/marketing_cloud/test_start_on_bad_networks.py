"""Perform on connections that fail in every way: what was surely not sent, and what may have been applied."""

import pytest

from sfmc_import.faults import Ambiguous, NotApplied
from sfmc_import.runs import Accepted
from tests.integration.marketing_cloud.conftest import BRIEF
from tests.integration.marketing_cloud.misbehaving import CERTIFICATE, MisbehavingServer, full_queue, refused_address
from tests.support.fake_soap_replies import fault, performed

MID = "510001234"
EVER = float("inf")
WHOLE = performed()


def start(service, not_after=EVER):
    return service.start(MID, "orders", not_after=not_after)


def answering(content=WHOLE, status="200 OK", **headers):
    def behave(connection):
        if connection.read():
            connection.answer(content, status, **headers)

    return behave


def after_reading(action):
    def behave(connection):
        connection.read()
        action(connection)

    return behave


def reset_at_the_first_bytes(connection):
    connection.socket.recv(10)
    connection.reset()


def test_a_port_that_no_one_listens_on_is_not_applied(adapter):
    assert start(adapter(refused_address())).code == "refused"


def test_a_host_that_no_one_knows_is_not_applied(adapter):
    verdict = start(adapter("http://no-such-tenant.soap.invalid/"))

    assert isinstance(verdict, NotApplied)
    assert verdict.code == "dns"
    assert "no-such-tenant.soap.invalid" in verdict.text


def test_a_connection_that_is_never_made_is_not_applied(adapter):
    with full_queue() as url:
        assert start(adapter(url, connect_timeout=0.5)).code == "connect_timeout"


@pytest.mark.parametrize(
    "behaviour",
    [reset_at_the_first_bytes, lambda connection: connection.send(b"HTTP/1.0 400 No TLS\r\n\r\n")],
    ids=["reset", "plain text"],
)
def test_a_tls_handshake_that_fails_is_not_applied(adapter, behaviour):
    with MisbehavingServer(behaviour) as server:
        verdict = start(adapter(server.url.replace("http:", "https:")))

    assert isinstance(verdict, NotApplied)


def test_a_certificate_that_is_not_trusted_is_not_applied_and_nothing_is_sent(adapter):
    with MisbehavingServer(answering(), tls=True) as server:
        verdict = start(adapter(server.url))

    assert (verdict.code, server.requests) == ("tls", [])
    assert "certificate" in verdict.text


@pytest.mark.parametrize("verify", [str(CERTIFICATE), False])
def test_a_start_goes_over_tls_with_a_bundle_of_ones_own_or_unchecked(adapter, verify):
    with MisbehavingServer(answering(), tls=True) as server:
        assert isinstance(start(adapter(server.url, verify=verify)), Accepted)


AFTER_SENDING = {
    "reset after reading": after_reading(lambda connection: connection.reset()),
    "closed after reading": lambda connection: connection.read(),
    "silence": lambda connection: connection.wait_for_the_end(),
    "silence after reading": after_reading(lambda connection: connection.wait_for_the_end()),
    "half of the headers": after_reading(lambda connection: connection.send(b"HTTP/1.1 200 OK\r\nContent-")),
    "half of the body": after_reading(
        lambda connection: connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + WHOLE)
    ),
    "half of the body, no length": after_reading(
        lambda connection: connection.send(b"HTTP/1.1 200 OK\r\n\r\n" + WHOLE[: WHOLE.index(b"9023</ID>")])
    ),
    "a cut chunk": after_reading(
        lambda connection: connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n<x")
    ),
    "a chunk of nonsense": after_reading(
        lambda connection: connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n<x")
    ),
    "no HTTP": after_reading(lambda connection: connection.send(b"\x00\x01garbage\r\n\r\n")),
    "drops for ever": after_reading(lambda connection: connection.drip(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 5000)),
    "drops of a body for ever": after_reading(
        lambda connection: connection.drip(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000, 0.01)
    ),
    "endless headers": after_reading(lambda connection: connection.send(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500)),
    "an empty 200": answering(b""),
    "a page": answering(b"<html><body>Maintenance</body></html>"),
    "half of an envelope": answering(WHOLE[:400]),
    "a packed envelope that was not asked for": answering(b"\x1f\x8b\x08\x00garbage", Content_Encoding="gzip"),
    "an empty 202": answering(b"", "202 Accepted"),
    "an empty 204": answering(b"", "204 No Content"),
    "500": answering(b"", "500 Internal Server Error"),
    "502": answering(b"<html>Bad Gateway</html>", "502 Bad Gateway"),
    "503 with a time": answering(b"", "503 Service Unavailable", Retry_After="5"),
    "504": answering(b"", "504 Gateway Timeout"),
    "fault 2": answering(fault(2, "Exception occurred during [Schedule::Start] ErrorID: 4"), "500 Oops"),
    "no task": answering(performed(None)),
}
ENDLESS = {"silence", "silence after reading", "drops for ever", "drops of a body for ever"}


@pytest.mark.parametrize("name", AFTER_SENDING)
def test_what_fails_after_sending_is_ambiguous_and_sent_only_once(adapter, name):
    with MisbehavingServer(AFTER_SENDING[name]) as server:
        verdict = start(adapter(server.url, **(BRIEF if name in ENDLESS else {})))

        assert isinstance(verdict, Ambiguous), verdict
        assert server.connections == 1


@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]
)
def test_a_redirect_is_not_followed_and_is_no_proof(adapter, status):
    with MisbehavingServer(answering()) as elsewhere, MisbehavingServer(
        answering(b"", status, Location=elsewhere.url)
    ) as server:  # fmt: skip
        assert isinstance(start(adapter(server.url)), Ambiguous)
        assert elsewhere.connections == 0


def test_429_is_not_applied_and_keeps_the_time(adapter):
    with MisbehavingServer(answering(b"", "429 Too Many Requests", Retry_After="9")) as server:
        verdict = start(adapter(server.url))

    assert isinstance(verdict, NotApplied)
    assert verdict.retry_after == 9


def test_an_answer_in_chunks_after_a_100_is_read(adapter):
    pieces = b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (100, WHOLE[:100], len(WHOLE) - 100, WHOLE[100:])
    head = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with MisbehavingServer(after_reading(lambda connection: connection.send(head + pieces))) as server:
        assert isinstance(start(adapter(server.url)), Accepted)


def test_every_start_goes_over_a_connection_of_its_own_where_that_is_asked_for(adapter):
    with MisbehavingServer(answering()) as server:
        service = adapter(server.url, starts_on_kept=False)
        for _ in range(3):
            assert isinstance(start(service), Accepted)

        assert server.connections == len(server.requests) == 3
    assert all(b"Connection: close" in request for request in server.requests)


def test_when_the_time_is_over_after_connecting_not_one_byte_is_sent(adapter):
    seen = []

    def note(connection):
        seen.append(connection.socket.recv(100))

    with MisbehavingServer(note) as server:
        verdict = start(adapter(server.url), not_after=0.0)

        assert verdict.code == "lease_over"
        assert isinstance(verdict, NotApplied)
    assert seen in ([], [b""])


def test_the_request_is_what_the_service_expects(adapter):
    with MisbehavingServer(answering()) as server:
        start(adapter(server.url + "mc/service.asmx?x=1"))

    head = server.requests[0].partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert head[0] == "POST /mc/service.asmx?x=1 HTTP/1.1"
    assert {'SOAPAction: "Perform"', "Content-Type: text/xml; charset=utf-8"} <= set(head)
    assert f"Host: {server.url.split('/')[2]}" in head

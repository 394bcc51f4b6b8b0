"""Every call ends within one deadline over all its parts, and no answer is larger than its limit."""

import gzip
import json
import socket
import threading
import time
import zlib

import pytest

from sfmc_import.faults import Ambiguous, NotApplied
from sfmc_import.marketing_cloud import PlainSecret, http
from sfmc_import.marketing_cloud.client import MAX_BYTES, MAX_PAGES, MAX_ROWS
from sfmc_import.marketing_cloud.exchange import MAX_ANSWER_BYTES, MAX_PAGE_BYTES, SplitPost
from sfmc_import.marketing_cloud.http import Connector, Deadline, Failed, Reply, Resolver, tls_context
from sfmc_import.marketing_cloud.replies import MAX_TAGS, MAX_VALUE
from sfmc_import.proxies import Proxies
from sfmc_import.runs import Accepted
from tests.integration.marketing_cloud.misbehaving import CERTIFICATE, MisbehavingServer
from tests.support.fake_soap_replies import found, performed, row
from tests.support.waiting import eventually

MID = "510001234"
EVER = float("inf")
BRIEF = {"connect_timeout": 0.15, "read_timeout": 0.15, "token_timeout": 0.15, "query_attempts": 1}
LONG = 20.0
ORDERS = found(row(CustomerKey="orders"))
TRICKLES = {
    "a status line": b"HTTP/1.1 200 OK " + b"x" * 9000,
    "headers": b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 90,
    "a body": b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + b" " * 9000,
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 900,
    "continue after continue": b"HTTP/1.1 100 Continue\r\n\r\n" * 300,
}


def trusting():
    return tls_context(str(CERTIFICATE))


def trickle(content):
    def behave(connection):
        connection.read()
        connection.drip(content, 0.02)

    return behave


def with_token(adapter, url, **more):
    return adapter(url, auth_url=url, client_id="c", client_secret=PlainSecret("s"), **more)


@pytest.mark.parametrize("name", TRICKLES)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_an_answer_that_trickles_ends_at_the_deadline_for_token_query_and_start(adapter, name, tls):
    with MisbehavingServer(trickle(TRICKLES[name]), tls=tls) as server:
        limits = BRIEF | {"connect_timeout": LONG, "verify": str(CERTIFICATE)}
        began = time.monotonic()
        token = with_token(adapter, server.url, **limits).start(MID, "orders", not_after=EVER)
        query = adapter(server.url, **limits).definition(MID, "orders")
        start = adapter(server.url, **limits).start(MID, "orders", not_after=EVER)

    assert time.monotonic() - began < LONG
    assert (type(token), token.code) == (NotApplied, "token_unavailable")
    assert (type(query), query.code) == (NotApplied, "read_timeout")
    assert (type(start), start.code) == (Ambiguous, "read_timeout")


def test_a_tls_handshake_that_trickles_ends_at_the_deadline(adapter):
    def behave(connection):
        connection.socket.recv(10)
        connection.drip(b"\x16\x03\x03\x3f\x00" + b"\x02" * 16000, 0.02)

    with MisbehavingServer(behave) as server:
        verdict = adapter(server.url.replace("http:", "https:"), **BRIEF).start(MID, "orders", not_after=EVER)

    assert (type(verdict), verdict.code) == (NotApplied, "connect_timeout")


def test_a_name_that_is_not_found_in_time_ends_at_the_deadline_and_holds_one_thread(monkeypatch):
    gate = threading.Event()
    monkeypatch.setattr(http.socket, "getaddrinfo", lambda *_, **__: gate.wait(60))
    resolver = Resolver()
    for _ in range(3):
        with pytest.raises(socket.gaierror):
            resolver.addresses("t.example", 443, Deadline(0.02))
    assert sum(thread.name == "resolver" for thread in threading.enumerate()) == 1
    gate.set()


def packed(content: bytes, encoding: str = "gzip", status: str = "200 OK"):
    def behave(connection):
        while connection.read():
            connection.answer(content, status, Content_Encoding=encoding)

    return behave


def bomb(megabytes: int) -> bytes:
    packer = zlib.compressobj(1, wbits=31)
    return b"".join(packer.compress(b" " * 1_000_000) for _ in range(megabytes)) + packer.flush()


def test_a_bomb_is_not_unpacked_beyond_the_limit(adapter):
    with MisbehavingServer(packed(bomb(20))) as server:
        token = with_token(adapter, server.url).definition(MID, "orders")
        query = adapter(server.url, query_attempts=1).definition(MID, "orders")
        start = adapter(server.url).start(MID, "orders", not_after=EVER)

    assert (type(token), token.code) == (NotApplied, "token_unavailable")
    assert (type(query), query.code) == (NotApplied, "oversized_reply")
    assert (type(start), start.code) == (Ambiguous, "oversized_reply")


@pytest.mark.parametrize(("limit", "is_start"), [(MAX_ANSWER_BYTES, True), (MAX_PAGE_BYTES, False)])
def test_an_answer_above_the_limit_is_not_read_to_its_end(adapter, limit, is_start):
    def behave(connection):
        connection.read()
        connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(limit // 50_000 + 100):
            connection.send(b" " * 50_000)

    with MisbehavingServer(behave) as server:
        service = adapter(server.url, query_attempts=1)
        verdict = service.start(MID, "orders", not_after=EVER) if is_start else service.definition(MID, "orders")

    assert verdict.code == "oversized_reply"


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("x-gzip", gzip.compress)]
)
def test_an_answer_that_was_packed_without_being_asked_is_read(adapter, encoding, pack):
    with MisbehavingServer(packed(pack(performed()), encoding)) as server:
        assert isinstance(adapter(server.url).start(MID, "orders", not_after=EVER), Accepted)


def test_half_of_a_packed_answer_is_no_answer(adapter):
    with MisbehavingServer(packed(gzip.compress(performed())[:-20])) as server:
        assert adapter(server.url).start(MID, "orders", not_after=EVER).code == "broken_reply"


def test_pages_that_bring_nothing_new_end_the_reading(adapter):
    again = found(row(CustomerKey="orders"), status="MoreDataAvailable")

    def behave(connection):
        while connection.read():
            connection.answer(again)

    with MisbehavingServer(behave) as server:
        verdict = adapter(server.url).definitions(MID)

    assert (type(verdict), verdict.code) == (NotApplied, "endless_pages")
    assert len(server.requests) == 2


def pages_of(rows_of_page, *, last=None):
    """Answer with pages of these rows, for ever or up to page `last`, each packed by gzip."""
    numbers = iter(range(10**9))

    def behave(connection):
        while connection.read():
            page = next(numbers)
            status = "OK" if page == last else "MoreDataAvailable"
            connection.answer(gzip.compress(found(*rows_of_page(page), status=status), 1), Content_Encoding="gzip")

    return behave


def runs(count, **more):
    return lambda page: [row(TaskResultID=page * count + each + 1, ImportStatus="New", **more) for each in range(count)]


TOO_MUCH = {
    "rows": (runs(9_000), f"more than {MAX_ROWS} rows"),
    "bytes": (runs(700, ImportType="x" * 9_900), f"more than {MAX_BYTES} bytes"),
    "pages": (runs(1), f"more than {MAX_PAGES} pages"),
}


@pytest.mark.parametrize("what", TOO_MUCH)
@pytest.mark.parametrize("query", ["definitions", "definition", "runs_of", "runs"])
def test_the_pages_of_one_query_have_one_limit_for_all_of_them(adapter, what, query):
    rows, text = TOO_MUCH[what]

    def rows_of(page):
        return (
            [each.replace("TaskResultID", "CustomerKey") for each in rows(page)]
            if "definition" in query
            else rows(page)
        )

    argument = {"definitions": (), "runs": (["1"],)}.get(query, ("orders",))
    with MisbehavingServer(pages_of(rows_of)) as server:
        verdict = getattr(adapter(server.url), query)(MID, *argument)

    assert (type(verdict), verdict.code) == (NotApplied, "oversized_query")
    assert verdict.text == f"the answer to one query has {text}"


def test_a_property_that_is_too_long_is_not_kept(adapter):
    with MisbehavingServer(packed(gzip.compress(found(row(CustomerKey="k" * (MAX_VALUE + 1)))))) as server:
        verdict = adapter(server.url, query_attempts=1).definition(MID, "orders")

    assert verdict.code == "unreadable_reply"
    assert f"more than {MAX_VALUE} characters" in verdict.text


def test_runs_that_were_not_asked_for_are_not_kept(adapter):
    with MisbehavingServer(pages_of(runs(3), last=0)) as server:
        assert set(adapter(server.url).runs(MID, ["2"])) == {"2"}


@pytest.mark.parametrize("filling", [b"<a/>" * 500_000, b"<a %s/>" % b" ".join(b'b%d=""' % n for n in range(500_000))])
def test_a_page_of_nothing_but_tags_is_not_made_into_a_tree(adapter, filling):
    page = found(row(CustomerKey="orders")).replace(b"</Results>", filling + b"</Results>")
    with MisbehavingServer(packed(gzip.compress(page, 1))) as server:
        verdict = adapter(server.url, query_attempts=1).definition(MID, "orders")

    assert verdict.code == "unreadable_reply"
    assert f"more than {MAX_TAGS} tags" in verdict.text


@pytest.mark.parametrize("filling", [b"", b" " * 300])
def test_a_page_in_an_encoding_that_hides_its_tags_is_not_made_into_a_tree(adapter, filling):
    page = found(row(CustomerKey="orders")).replace(b"</Results>", b"+ADw-a/>" * 1000 + b"</Results>")
    page = page.replace(b'encoding="utf-8"', filling + b'encoding="UTF-7"')
    with MisbehavingServer(packed(gzip.compress(page, 1))) as server:
        verdict = adapter(server.url, query_attempts=1).definition(MID, "orders")

    assert verdict.code == "unreadable_reply"
    assert ("without an end" if filling else "an encoding that may hide signs") in verdict.text


def test_pages_under_one_request_id_are_read_while_they_bring_new_rows(adapter):
    pages = [
        found(row(CustomerKey=f"key-{number}"), status="MoreDataAvailable" if number < 5 else "OK")
        for number in range(6)
    ]

    def behave(connection):
        while connection.read():
            connection.answer(pages.pop(0))

    with MisbehavingServer(behave) as server:
        assert len(adapter(server.url).definitions(MID)) == 6


def test_pages_without_end_stop_before_the_lease_is_over(adapter):
    numbers = iter(range(10**9))

    def behave(connection):
        while connection.read():
            server.ended.wait(0.02)
            connection.answer(found(row(CustomerKey=f"key-{next(numbers)}"), status="MoreDataAvailable"))

    with MisbehavingServer(behave) as server:
        verdict = adapter(server.url, reading_timeout=0.3).definitions(MID)

    assert (type(verdict), verdict.code) == (NotApplied, "read_timeout")


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_connection_that_ends_before_the_last_bytes_are_sent_was_not_applied(tls):
    gone = threading.Event()

    def behave(connection):
        connection.socket.close()
        gone.set()

    connector = Connector(trusting, Proxies(), LONG)
    with MisbehavingServer(behave, tls=tls) as server:
        post = SplitPost(server.url, {}, connector, LONG)
        answer = post(b"<x/>" * 100, lambda: gone.wait(60))

    assert isinstance(answer, Failed)
    assert answer.situation == "not_sent"


def test_a_server_that_answers_before_it_has_the_request_does_not_get_the_rest():
    answered = threading.Event()

    def behave(connection):
        connection.answer(b"", "413 Too Large")
        answered.set()
        connection.wait_for_the_end()

    with MisbehavingServer(behave) as server:
        post = SplitPost(server.url, {}, Connector(trusting, Proxies(), LONG), LONG)
        answer = post(b"<x/>" * 100, lambda: answered.wait(60))

    assert isinstance(answer, Reply)
    assert answer.status == 413


def test_a_stray_answer_on_a_kept_connection_is_not_taken_for_the_next_one(adapter):
    stray_sent = threading.Event()

    def behave(connection):
        connection.read()
        connection.answer(found(row(CustomerKey="orders", Name="first")))
        connection.answer(found(row(CustomerKey="orders", Name="stray")))
        stray_sent.set()
        connection.read()
        connection.answer(found(row(CustomerKey="orders", Name="second")))

    def honest(connection):
        connection.read()
        connection.answer(found(row(CustomerKey="orders", Name="second")))

    with MisbehavingServer(behave, honest) as server:
        service = adapter(server.url)
        first = service.definition(MID, "orders").name
        assert stray_sent.wait(60)
        second = service.definition(MID, "orders").name

    assert (first, second) == ("first", "second")


def test_a_token_that_trickles_for_one_business_unit_holds_no_other(adapter):
    def behave(connection):
        while request := connection.read():
            if b"/v2/token" not in request.partition(b"\r\n")[0]:
                connection.answer(ORDERS)
            elif b'"slow"' in request:
                connection.drip(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 9000)
            else:
                connection.answer(json.dumps({"access_token": "t", "expires_in": 1000}).encode())

    with MisbehavingServer(behave) as server:
        service = with_token(adapter, server.url, token_timeout=1.0, connect_timeout=0.2, query_attempts=1)
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(service.definition("slow", "x"))) for _ in range(8)]
        for thread in threads:
            thread.start()
        eventually(lambda: server.requests, within=60, description="the token is being asked for")
        assert service.definition(MID, "orders").customer_key == "orders"
        for thread in threads:
            thread.join(60)

    assert {(type(answer), answer.code) for answer in answers} == {(NotApplied, "token_unavailable")}


def test_after_an_answer_that_asks_the_account_to_wait_no_other_call_is_made(adapter):
    def behave(connection):
        while connection.read():
            connection.answer(b"", "503 Busy", Retry_After="60")

    with MisbehavingServer(behave) as server:
        service = adapter(server.url)
        first, second = service.definition(MID, "orders"), service.start("7", "other", not_after=EVER)

        assert len(server.requests) == 1
    for fault in (first, second):
        assert (type(fault), fault.code, fault.account_wide) == (NotApplied, "http_503", True)
        assert 0 < fault.retry_after <= 60

"""Plain HTTP answers are read as http.client reads them; every other one is left to it untouched."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfmc_import.marketing_cloud.exchange import Call
from sfmc_import.marketing_cloud.http import Deadline, Failed, Reply, TimedReader
from sfmc_import.marketing_cloud.plain_answers import read_plain

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 5\r\n\r\n<a/>\n"
LIMIT = 1000


class Pieces:
    """A socket from which these pieces come in, and then its end."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)

    def settimeout(self, seconds: float) -> None:
        """Take a time that is never needed."""

    def recv_into(self, buffer: memoryview) -> int:
        if not self._pieces:
            return 0
        piece = self._pieces.pop(0)
        size = min(len(piece), len(buffer))
        buffer[:size] = piece[:size]
        if size < len(piece):
            self._pieces.insert(0, piece[size:])
        return size


def reader(*pieces: bytes) -> TimedReader:
    return TimedReader(Pieces(*pieces), Deadline(60), LIMIT + 10_000)  # type: ignore[arg-type]


def read(*pieces: bytes):
    """Read as production does: the plain way where it can be gone."""
    return Call("server", Deadline(60), LIMIT).read(Pieces(*pieces))  # type: ignore[arg-type]


def by_http_client(content: bytes):
    """Read the other way: it is the only one when the head comes in two pieces."""
    return read(content[:20], content[20:])


@pytest.mark.parametrize("cut", [len(PLAIN), len(PLAIN) - 1, len(PLAIN) - 5])
def test_a_plain_answer_is_read_however_its_body_comes_in(cut):
    found = read_plain(reader(PLAIN[:cut], PLAIN[cut:]), LIMIT)

    assert found.reply == Reply(200, {"content-type": "text/xml", "content-length": "5"}, b"<a/>\n")
    assert found.reply.content == b"<a/>\n"
    assert found.is_reusable


@pytest.mark.parametrize(
    "content",
    [
        b"",
        PLAIN[:30],
        PLAIN.replace(b"1.1", b"1.0"),
        PLAIN.replace(b"200 OK", b"100 Continue"),
        PLAIN.replace(b"200 OK", b"204 No Content"),
        PLAIN.replace(b"200 OK", b"302 Found"),
        PLAIN.replace(b"200 OK", b"2000 OK"),
        PLAIN.replace(b"Content-Length: 5", b"Content-Length: 5\r\nContent-Length: 6"),
        PLAIN.replace(b"Content-Length: 5", b"Content-Length: +5"),
        PLAIN.replace(b"Content-Length: 5", b"Content-Length: 1001"),
        PLAIN.replace(b"Content-Length: 5", b"Content-Length: 5\r\nTransfer-Encoding: chunked"),
        PLAIN.replace(b"Content-Length: 5", b"Content-Length: 5\r\nContent-Encoding: gzip"),
        PLAIN.replace(b"Content-Length: 5\r\n", b""),
        PLAIN.replace(b"Content-Type: text/xml", b"Content-Type: text/xml\r\n folded"),
        PLAIN.replace(b"Content-Type", b"Content Type"),
        PLAIN.replace(b"Content-Type: text/xml", b"Content-Type: text/xml\nX: y"),
        PLAIN.replace(b"Content-Type: text/xml", b"X: y\r\n" * 100 + b"Y: z"),
        # Half a minute, where blanks can belong to either of two parts of a line.
        pytest.param(PLAIN.replace(b"text/xml", b" " * 60_000 + b"\0"), id="a line of blanks"),
    ],
)
def test_any_other_answer_is_left_as_it_came_in(content):
    source = reader(content, b"rest")

    assert read_plain(source, LIMIT) is None
    assert source.take() == (content or b"rest")


@pytest.mark.parametrize(
    ("content", "reusable"),
    [
        (PLAIN, True),
        (PLAIN + b"H", False),
        (PLAIN.replace(b"Content-Type", b"Connection: Close\r\nX"), False),
        (PLAIN.replace(b"Content-Type", b"Connection: keep-alive\r\nX"), True),
        (PLAIN.replace(b"200 OK", b"500 Oops"), True),
        (PLAIN.replace(b"5\r\n\r\n<a/>\n", b"0\r\n\r\n"), True),
    ],
)
def test_a_connection_is_used_again_as_with_http_client(content, reusable):
    assert read(content) == by_http_client(content)
    assert read(content).is_reusable is reusable


def test_a_body_that_ends_early_is_broken():
    assert read(PLAIN[:-1]).reply == by_http_client(PLAIN[:-1]).reply
    assert read(PLAIN[:-1]).reply.situation == "broken_reply"


NAMES = st.sampled_from(["Content-Type", "Connection", "Retry-After", "X-A", "Server", "Content-Length", "Set-Cookie"])
VALUES = st.text("abc019 ;=/\"'\t,é:", max_size=12)
HEADS = st.lists(st.tuples(NAMES, VALUES), max_size=6)


@given(status=st.sampled_from([200, 201, 400, 404, 413, 429, 500, 503]), head=HEADS, body=st.binary(max_size=50))
def test_whatever_the_head_says_both_ways_read_the_same(status, head, body):
    lines = [f"{name}: {value}" for name, value in [*head, ("Content-Length", len(body))]]
    content = "\r\n".join([f"HTTP/1.1 {status} Words", *lines, "", ""]).encode("latin-1") + body

    ours, theirs = read(content), by_http_client(content)
    assert type(ours.reply) is type(theirs.reply)
    if isinstance(ours.reply, Failed):
        assert ours == theirs
        return
    assert (ours.is_reusable, ours.reply.status, ours.reply.content) == (
        theirs.is_reusable,
        theirs.reply.status,
        theirs.reply.content,
    )
    assert {name: value.strip() for name, value in ours.reply.headers.items()} == {
        name: value.strip() for name, value in theirs.reply.headers.items()
    }

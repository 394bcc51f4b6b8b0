"""Reads an HTTP answer that is as plain as nearly all are; every other one is left to http.client.

Plain is: the whole head came in at once, each line of it is by the grammar, and the body has one Content-Length.
"""

import re
from dataclasses import dataclass
from http.client import IncompleteRead

from sfmc_import.marketing_cloud.http import Failed, Reply, TimedReader


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; `is_reusable` says whether the connection may carry another call."""

    reply: Reply | Failed
    is_reusable: bool = False


MAX_HEADERS = 100
_END = b"\r\n\r\n"
# RFC 9112, 4 and 5; what has a body by its status alone.
_STATUS = re.compile(rb"HTTP/1\.1 (200|[45][0-9][0-9])(?: [^\r\n\0]*)?")
# No part gives back what it took: a line that is none is known in one pass.
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]++):[ \t]*+([^\r\n\0]*+)")
_LENGTH = re.compile(r"[0-9]{1,10}")


def read_plain(source: TimedReader, limit: int) -> Answer | None:
    """Read a plain answer with a body of `limit` bytes at most; None, and nothing is read, for any other."""
    data = source.take()
    head, end, body = data.partition(_END)
    found = _parsed(head) if end else None
    if found is None or found[2] > limit:
        source.put_back(data)
        return None
    status, headers, length = found
    pieces, size = [body], len(body)
    while size < length:
        piece = source.take()
        if not piece:
            raise IncompleteRead(b"")
        pieces.append(piece)
        size += len(piece)
    content = body if size == len(body) else b"".join(pieces)
    # Bytes behind it belong to no answer.
    reusable = size == length and "close" not in headers.get("connection", "").lower()
    return Answer(Reply(status, headers, content[:length]), reusable)


def _parsed(head: bytes) -> tuple[int, dict[str, str], int] | None:
    first, *lines = head.split(b"\r\n")
    status = _STATUS.fullmatch(first)
    if status is None or len(lines) > MAX_HEADERS:
        return None
    headers: dict[str, str] = {}
    for line in lines:
        header = _HEADER.fullmatch(line)
        name = header[1].decode("ascii").lower() if header else ""
        if header is None or name in headers:
            return None
        headers[name] = header[2].decode("latin-1")
    length = headers.get("content-length", "").strip()
    if not _LENGTH.fullmatch(length) or "transfer-encoding" in headers or "content-encoding" in headers:
        return None
    return int(status[1]), headers, int(length)

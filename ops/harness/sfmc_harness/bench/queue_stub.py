"""Stands in for SQS with as little work as possible: a queue whose messages never end, each of a new upload.

It prints its address, takes the calls of the JSON protocol, and counts messages given and deleted (`GET /counts`).
"""

import asyncio
import itertools
import json
import re
from collections import Counter
from typing import Any

BATCH = 10
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_TARGET = re.compile(rb"(?i)\r\nx-amz-target: *AmazonSQS\.(\w+)")


def body_of(number: int) -> str:
    """Write the notification of one upload."""
    item = {"key": f"in/orders_{number}.csv", "size": 120, "eTag": f"{number:032x}", "sequencer": f"{number:016X}"}
    record = {
        "eventVersion": "2.5",
        "eventSource": "aws:s3",
        "awsRegion": "eu-central-1",
        "eventTime": "2026-01-05T03:10:00.123Z",
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "AWS:X"},
        "requestParameters": {"sourceIPAddress": "192.0.2.7"},
        "responseElements": {"x-amz-request-id": "R1", "x-amz-id-2": "H1"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "imports",
            "bucket": {"name": "drop", "ownerIdentity": {"principalId": "O"}, "arn": "arn:aws:s3:::drop"},
            "object": item,
        },
    }
    return json.dumps({"Records": [record]})


class Queue:
    """Gives `limit` messages, then none."""

    def __init__(self, limit: int) -> None:
        self.counts: Counter[str] = Counter()
        self._numbers = iter(range(limit))

    def answer(self, target: str, body: bytes) -> Any:
        """Answer one call."""
        if target == "ReceiveMessage":
            return self._give()
        if target == "DeleteMessageBatch":
            entries = json.loads(body)["Entries"]
            self.counts["deleted"] += len(entries)
            return {"Successful": [{"Id": each["Id"]} for each in entries], "Failed": []}
        return self.counts if target == "counts" else {"Successful": [], "Failed": []}

    def _give(self) -> Any:
        messages = [
            {
                "MessageId": f"m-{number}",
                "ReceiptHandle": f"r-{number}",
                "Body": body_of(number),
                "Attributes": {"ApproximateReceiveCount": "1"},
            }
            for number in itertools.islice(self._numbers, BATCH)
        ]
        self.counts["given"] += len(messages)
        return {"Messages": messages} if messages else {}


class _Connection(asyncio.Protocol):
    """Reads requests of HTTP/1.1 one after the other; a call without messages is answered late, as a poll is."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            head = self._read[:end]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length.group(1)) if length else 0)
            if len(self._read) < whole:
                return
            body, self._read = self._read[end + 4 : whole], self._read[whole:]
            target = _TARGET.search(head)
            self._answer(self._queue.answer(target[1].decode() if target else "counts", body))

    def _answer(self, value: Any) -> None:
        text = json.dumps(value).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: {len(text)}\r\n\r\n"
        asyncio.get_running_loop().call_later(0.0 if value else 1.0, self._send, head.encode() + text)

    def _send(self, reply: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(reply)


async def serve(limit: int) -> None:
    """Serve on a free port until the process ends, and print the address."""
    queue = Queue(limit)
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(queue), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    print(f"http://{host}:{port}", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    import sys

    asyncio.run(serve(int(sys.argv[1])))

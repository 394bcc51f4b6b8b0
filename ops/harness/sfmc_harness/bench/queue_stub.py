"""Stands in for SQS with as little work as possible: a queue whose messages never end, each of a new upload.

It prints its address, takes the calls of the JSON protocol, and counts messages given and deleted (`GET /counts`).
"""

import asyncio
import itertools
import json
import re
from collections import Counter
from typing import Any

from sfmc_harness.bench.http_connection import HttpConnection

BATCH = 10
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


class _Connection(HttpConnection):
    """Answers the calls of one client; one without messages is answered late, as a poll is."""

    def __init__(self, queue: Queue) -> None:
        super().__init__()
        self._queue = queue

    def answer(self, head: bytes, body: bytes) -> None:
        """Answer as SQS does."""
        target = _TARGET.search(head)
        value = self._queue.answer(target[1].decode() if target else "counts", body)
        text = json.dumps(value).encode()
        reply = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\n\r\n" % len(text)
        asyncio.get_running_loop().call_later(0.0 if value else 1.0, self.send, reply + text)


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

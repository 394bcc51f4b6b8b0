"""One delivery to S3, in this process, or in one of its own that ends itself at a request to S3.

As a program: PORT of Redis as URL, address of S3, path, `before` or `after`, the number of the request; 0 for none.
"""

import os
import resource
import sys
from functools import partial
from pathlib import Path
from typing import Any

import redis as redis_py
from botocore.httpsession import URLLib3Session

from sfmc_import.ledger.keys import Keys
from sfmc_producers.delivery.content import LocalFile
from sfmc_producers.delivery.job import Job, deliver
from sfmc_producers.delivery.records import Records
from sfmc_producers.delivery.s3 import S3Options, S3Session
from sfmc_producers.stability import FileStat

PART = 5 * 1024 * 1024
KILLED = 9
KEYS = Keys()
REAL_SEND = URLLib3Session.send


def session_of(url: str, **lines: Any) -> S3Session:
    """A session with the smallest parts that S3 takes."""
    given = {"bucket": "drop", "prefix": "import/", "region": "eu-central-1", "endpoint_url": url} | lines
    return S3Session(S3Options.model_validate(given), PART)


def job_of(path: Path, submit: Any, fingerprint: str = "f1", request: str = "r1", name: str = "orders.csv") -> Job[Any]:
    """A delivery of this file."""
    seen = path.stat()
    content = partial(LocalFile, path, FileStat(path.name, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns))
    return Job(request, fingerprint, name, "s3://drop/import", ("1", "orders"), content, submit)


def run(job: Job[Any], records: Records, session: S3Session) -> Any:
    """Deliver with this session, and close it."""
    try:
        session.connect()
        return deliver(job, records, lambda: session)
    finally:
        session.close()


def die_at(kind: str, number: int) -> None:
    """End this process at a request to S3, counted from 1, as kill -9 would."""
    count = 0

    def send(self: URLLib3Session, request: Any) -> Any:
        nonlocal count
        count += 1
        if (kind, count) == ("before", number):
            os._exit(KILLED)
        answer = REAL_SEND(self, request)
        if count == number:
            os._exit(KILLED)
        return answer

    URLLib3Session.send = send  # type: ignore[method-assign]


def main(redis_url: str, url: str, path: str, kind: str, number: str) -> None:
    """Deliver, and print by how many kibibytes the memory of this process has grown."""
    if int(number):
        die_at(kind, int(number))
    with redis_py.Redis.from_url(redis_url, socket_timeout=10) as client:
        session = session_of(url)
        session.connect()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        run(job_of(Path(path), lambda: "r1"), Records(client, KEYS, 60), session)
    sys.stdout.write(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""A program that delivers and submits one file, and ends itself as `kill -9` does at its n-th exchange with a server.

Each line of its input is the number of a point, counted from 1: it forks, and the fork delivers. A point is the moment
before something is sent to Redis or to the SFTP server, or the moment after something was received from one. It prints
`died` or `done` for each line.
"""

import json
import os
import socket
import sys
from functools import partial
from pathlib import Path
from typing import Any

import redis as redis_py
from pydantic import SecretStr

from sfmc_import.client import Client
from sfmc_import.ledger.keys import Keys
from sfmc_producers.delivery.content import LocalFile
from sfmc_producers.delivery.job import Job, deliver
from sfmc_producers.delivery.records import Records
from sfmc_producers.delivery.sftp import SftpOptions, SftpSession
from sfmc_producers.stability import FileStat

DIED, DONE = 9, 0


class Points:
    """Counts the exchanges of this process and ends it at one of them."""

    def __init__(self, deadly: int) -> None:
        self._left = deadly

    def watch(self) -> None:
        """Count from now on."""
        for name in ("send", "sendall"):
            setattr(socket.socket, name, self._sending(getattr(socket.socket, name)))
        for name in ("recv", "recv_into"):
            setattr(socket.socket, name, self._receiving(getattr(socket.socket, name)))

    def _meet(self) -> None:
        self._left -= 1
        if self._left == 0:
            os._exit(DIED)

    def _sending(self, call: Any) -> Any:
        def send(sock: socket.socket, *given: Any) -> Any:
            self._meet()
            return call(sock, *given)

        return send

    def _receiving(self, call: Any) -> Any:
        def receive(sock: socket.socket, *given: Any) -> Any:
            received = call(sock, *given)
            self._meet()
            return received

        return receive


def produce(
    redis_url: str, options: SftpOptions, password: str, path: Path, look: Path, number: int = 1, name: str = ""
) -> Any:
    """Deliver the file and submit its request; what lies at the target is noted in `look`, right before that."""
    name, request = name or path.name, f"r{number}"
    status = path.stat()
    content = partial(LocalFile, path, FileStat(path.name, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
    session = SftpSession(options, SecretStr(password))
    with redis_py.Redis.from_url(redis_url, socket_timeout=10) as redis, Client(redis_url, mid="42") as client:

        def submit() -> str:
            note(look, options, name)
            client.submit(**given)
            return request

        def known() -> str | None:
            return None if client.state_of(given) is None else f"{request}, known"

        given: Any = {"request_id": request, "customer_key": "orders", "file": path.name, "source": "test"}
        lane = ("42", "orders")
        job = Job(request, f"f{number}", name, options.place, lane, content, submit, known=known)
        try:
            session.connect()
            return deliver(job, Records(redis, Keys(), 60), lambda: session)
        finally:
            session.close()


def note(look: Path, options: SftpOptions, name: str) -> None:
    """Keep a copy of what a worker would import now; `look` has the folder that the server serves, and copies."""
    found = look / "served" / options.folder / name
    copies = look / "copies"
    (copies / str(len(list(copies.iterdir())))).write_bytes(found.read_bytes())


def main() -> None:
    given = json.loads(sys.argv[1])
    options = SftpOptions.model_validate(given["options"])
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            Points(int(line)).watch()
            produce(given["redis"], options, given["password"], Path(given["path"]), Path(given["look"]))
            os._exit(DONE)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        sys.stdout.write({DIED: "died\n", DONE: "done\n"}.get(code, f"ended with {code}\n"))
        sys.stdout.flush()


if __name__ == "__main__":
    main()

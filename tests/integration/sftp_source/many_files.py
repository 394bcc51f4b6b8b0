"""A program: the source `sftp` over a server that has very many files; prints memory and time after each listing."""

import json
import sys
import time
from types import SimpleNamespace

import psutil
from pydantic import SecretStr

from sfmc_import.routing import Routed
from sfmc_producers.notifications import Wakeup
from sfmc_producers.sources.sftp.connection import Connector
from sfmc_producers.sources.sftp.logins import read_login
from sfmc_producers.sources.sftp.options import SftpOptions
from sfmc_producers.sources.sftp.server import SftpServer
from sfmc_producers.sources.sftp.source import SftpSource
from sfmc_producers.sources.sftp.trust import read_trust
from tests.support.sftp_server import PASSWORD, USER

ROUNDS = 6


class Counting:
    """An intake that takes everything and keeps nothing."""

    source = "many"
    submitter = SimpleNamespace(is_ledger_waiting=False, next_in=None)

    def __init__(self) -> None:
        self.count = 0

    def route(self, arrival: object) -> Routed:
        del arrival
        return Routed(customer_key="k", mid="1", by="route")

    def submit(self, arrival: object, target: object) -> bool:
        del arrival, target
        self.count += 1
        return True


def main(port: int, fingerprint: str) -> None:
    """List the folder some times, each after the files have settled."""
    options = SftpOptions(
        host="127.0.0.1", port=port, user=USER, dir="/in", host_keys=(fingerprint,), stable=1, timeout=30
    )
    secrets = {"password": SecretStr(PASSWORD)}
    login = read_login("many", options, secrets.get)
    server = SftpServer(Connector(options, login, read_trust("many", options)), most=1, seconds=30)
    intake, now = Counting(), [0.0]
    kept = SimpleNamespace(replayed=lambda _: [], add=lambda *_: True)
    source = SftpSource(options, intake, kept, server, clock=lambda: now[0], chance=lambda: 0.0, key=b"key")
    for number in range(ROUNDS):
        begun = time.monotonic()
        source.scan(Wakeup())
        now[0] += 2
        memory = psutil.Process().memory_info().rss
        line = {"round": number, "rss": memory, "seconds": time.monotonic() - begun, "taken": intake.count}
        sys.stdout.write(f"{json.dumps(line)}\n")
    server.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])

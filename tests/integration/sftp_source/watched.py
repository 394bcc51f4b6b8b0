"""The source `sftp` in this process: a real server, a ledger in memory, and a clock that tests move."""

from datetime import UTC, datetime, timedelta

from pydantic import SecretStr
from structlog.testing import capture_logs

from sfmc_producers.notifications import Wakeup
from sfmc_producers.sources.intake import Intake
from sfmc_producers.sources.sftp.connection import Connector
from sfmc_producers.sources.sftp.logins import read_login
from sfmc_producers.sources.sftp.options import SftpOptions
from sfmc_producers.sources.sftp.server import SftpServer
from sfmc_producers.sources.sftp.source import SftpSource
from sfmc_producers.sources.sftp.trust import read_trust
from sfmc_producers.submitter import RoutingRules, Submitter
from tests.support.sftp_server import PASSWORD, USER

NOON = datetime(2026, 3, 7, 12, tzinfo=UTC)


class Kept:
    """Dead letters in memory."""

    def __init__(self):
        self.letters, self.sent_back, self.is_down = {}, [], False

    def add(self, _source, record_id, body, text):
        if not self.is_down:
            self.letters.setdefault(record_id, (body, text))
        return not self.is_down

    def confirm(self, _source, record_ids):
        return self.letters.keys() >= set(record_ids)

    def outage(self, _source):
        return ""

    def replayed(self, _source):
        return list(self.sent_back)

    def done(self, _source, letter):
        self.sent_back.remove(letter)


class WatchedServer:
    """A server, its source and a clock that moves only in `pass_time`."""

    def __init__(self, server, client, *, secrets=None, **options):
        self.server, self.client, self.now, self.kept = server, client, 0.0, Kept()
        self.secrets = {"password": PASSWORD} if secrets is None else secrets
        usual = {"host": "127.0.0.1", "port": server.port, "user": USER, "dir": "/in", "stable": 2, "timeout": 5}
        self.options = {**usual, "host_keys": [server.fingerprint], **options}
        self.source = None
        self.restart()

    def restart(self, **options):
        self.close()
        read = SftpOptions(**{**self.options, **options})
        rules = RoutingRules(definitions=self.client, routes=self.client.routes, time_zone=self.client.time_zone)
        submitter = Submitter(self.client, rules, lambda: self.now, lambda: NOON + timedelta(seconds=self.now))
        login = read_login("drop", read, lambda what: SecretStr(text) if (text := self.secrets.get(what)) else None)
        connections = SftpServer(
            Connector(read, login, read_trust("drop", read)), most=read.connections, seconds=read.timeout
        )
        self.source = SftpSource(
            read,
            Intake("drop", submitter),
            self.kept,
            connections,
            clock=lambda: self.now,
            chance=lambda: 0.0,
            key=b"key",
        )

    def close(self):
        if self.source is not None:
            self.source.close()

    def put(self, name, text="id\n1\n"):
        path = self.server.root / "in" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
        return path

    def names(self, folder="in"):
        return sorted(each.name for each in (self.server.root / folder).iterdir())

    def pass_time(self, *seconds):
        """Look, then look again after each of these pauses; gives the log lines."""
        with capture_logs() as lines:
            for pause in (0, *seconds):
                self.now += pause
                self.source.scan(Wakeup())
        return lines

    def events(self, *seconds):
        return [line["event"] for line in self.pass_time(*seconds)]

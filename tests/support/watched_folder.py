"""A folder and its scanner in this process, on a clock that tests move."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from structlog.testing import capture_logs

from sfmc_import.clocks import Clocks
from sfmc_producers.folder import Folder, FolderScanner
from sfmc_producers.stability import StabilityRule
from sfmc_producers.submitter import RoutingRules, Submitter

NOON = datetime(2026, 3, 7, 12, tzinfo=UTC)
QUICK = StabilityRule(scans=2, seconds=2.0)
LOCAL = Path("/nonexistent/mountinfo")


class Watched:
    """A folder, its watcher and a clock that moves only in `pass_time`.

    The clock that dates ctime goes beside it; `stepped` is by how many seconds it was set. Redis is `redis_ahead`.
    """

    margin, redis_ahead = 0.0, 0.0

    def __init__(self, path, client, mountinfo=LOCAL, **options):
        self.path, self.client, self.now, self.mountinfo = path, client, 0.0, mountinfo
        self.stepped, self.began = 0.0, time.time()
        self.options = {"rule": QUICK, "location": str(path)} | options
        self.restart()

    def restart(self):
        zone, routes = self.client.time_zone, self.client.routes
        clock = Clocks(lambda: self.now, lambda: NOON.timestamp() + self.now)
        rules = RoutingRules(definitions=self.client, routes=routes, time_zone=zone, margin=self.margin, clock=clock)
        submitter = Submitter(self.client, rules, lambda: self.now, self.redis_time)
        folder = Folder(path=self.path, **self.options)
        self.watch = FolderScanner(folder, submitter, lambda: self.now, self.mountinfo, self.wall)

    def redis_time(self):
        return NOON + timedelta(seconds=self.now + self.redis_ahead)

    def wall(self):
        return self.began + self.now + self.stepped

    @property
    def waiting(self):
        return {each.name: (each.reason, each.since) for each in self.watch.waiting}

    def put(self, name, text="id\n1\n"):
        (self.path / name).parent.mkdir(exist_ok=True)
        (self.path / name).write_text(text)

    def pass_time(self, *seconds):
        """Look, then scan again after each of these pauses; returns the names of the log events."""
        with capture_logs() as logs:
            self.watch.scan()
            for pause in seconds:
                self.now += pause
                self.watch.scan()
        self.logs = logs
        return [each["event"] for each in logs]

    def look(self, *names, after=0.0):
        """Look at these files alone after a pause; returns the names of the log events."""
        self.now += after
        with capture_logs() as logs:
            self.next_in = self.watch.look(names)
        return [each["event"] for each in logs]

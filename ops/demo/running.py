"""One run of the demo from first process to last: starts, reads events, tells, judges; holds no detail of either."""

import contextlib
import os
import shlex
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from ops.demo.account import AccountError
from ops.demo.files import newsletter
from ops.demo.parts import PartError, Parts
from ops.demo.record import Record
from ops.demo.showing import View, view_for
from ops.demo.story import SETTLE_SECONDS, story
from ops.local.servers import NoServerError
from worker.adapters.event_stream import EventStream

STREAM = "sfmc-import:events"
DEADLINE = 120.0
TICK = 0.05
PAUSE = 1.0
OUR_KEYS = ("sfmc-import:*", "{sfmc-import*", "imports*", "_kombu.*", "unacked*", "celery-task-meta-*")


class DemoError(RuntimeError):
    """The demo could not be shown or did not go as it should; one line says what and where."""


class Demo:
    """The parts, what was read of their events, and how it is shown."""

    def __init__(self, parts: Parts, view: View, record: Record) -> None:
        self.parts, self.view, self.record = parts, view, record
        self.client = Redis.from_url(parts.redis_url, socket_timeout=10)
        self._stream = EventStream(self.client, STREAM)
        self._position = "0-0"

    def tick(self) -> None:
        """Show what is new, keep everything running, and wait a moment."""
        for name in self.parts.look_after():
            self.view.tell(f"the {name} has ended and is started again")
        with contextlib.suppress(RedisError):  # gone for a moment: it was just started again
            self._read()
        time.sleep(TICK)

    def play(self, pause: float) -> None:
        """Let the story happen until every request has ended.

        Raises:
            DemoError: something that should have happened did not.
        """
        deadline = time.monotonic() + DEADLINE
        steps: Iterator[None] = story(self.parts, self.record, self.view.tell, pause)
        told = False
        while not (told and self.record.is_complete()):
            told = told or next(steps, self) is self
            self.tick()
            if time.monotonic() > deadline:
                raise DemoError(f"after {DEADLINE:.0f} s still missing: {', '.join(self.record.missing())}")

    def judge(self) -> None:
        """Compare with what should have happened, and with what Marketing Cloud's stand-in says it did.

        Raises:
            DemoError: a request ended otherwise, or a definition was started more than once.
        """
        performs = Counter(self.parts.account.performs())
        twice = [f"{key} {number} times" for key, number in performs.items() if number > 1]
        if self.record.missing() or twice:
            raise DemoError("not as it should be: " + ", ".join([*self.record.missing(), *twice]))
        announced = len(self.record.lines)
        self.view.tell(f"{announced} requests, {performs.total()} starts in Marketing Cloud, none twice")

    def stay(self) -> None:
        """Keep everything running until Ctrl-C."""
        self.explain()
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                self.tick()

    def explain(self) -> None:
        """Say where files go and what to type."""
        folder = self.parts.folder
        name, text = newsletter()
        (folder / "samples" / name).write_text(text)
        (folder / "env").write_text(exports(self.parts.settings))
        command = Path(sys.executable).with_name("sfmc-import")
        for words in (
            "everything keeps running; Ctrl-C ends it",
            f"  drop a file:     cp {folder}/samples/{name} {self.parts.arrivals}/",
            f"  look at imports: {self.parts.account.page}",
            f"  in another terminal:  . {folder}/env",
            f"    {command} status",
            f"    {command} start newsletter --wait",
            f"    {command} events --follow",
        ):
            self.view.tell(words)

    def _read(self) -> None:
        for position, event in self._stream.after(self._position):
            self._position = position
            self.record.note(event)
            self.view.event(event)


def run(*, keep: bool, as_json: bool, fast: bool) -> None:
    """Show the demo.

    Raises:
        DemoError: it could not be shown, or did not go as it should.
        KeyboardInterrupt: it was ended on the way.
    """
    given = os.environ.get("SFMC_REDIS_URL")
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, as_ctrl_c)
    record = Record()
    try:
        with clean_redis(given), Parts(given) as parts, view_for(record, as_json=as_json) as view:
            demo = Demo(parts, view, record)
            introduce(parts, view)
            parts.start_product(settle=SETTLE_SECONDS)
            demo.play(0 if fast else PAUSE)
            view.table()
            demo.judge()
            if keep:
                demo.stay()
    except (PartError, AccountError, NoServerError) as error:
        raise DemoError(str(error)) from None


def introduce(parts: Parts, view: View) -> None:
    """Say what has been started and where it is."""
    view.tell(f"Redis:           {parts.redis_url}")
    view.tell(f"Marketing Cloud: {parts.account.page} (the sandbox, three ImportDefinitions created over SOAP)")
    view.tell(f"files arrive in: {parts.arrivals}")
    view.tell("a worker, a beat and a folder watcher start")


@contextlib.contextmanager
def clean_redis(given: str | None) -> Iterator[None]:
    """Make sure that a Redis the user named is empty, and leave it so; the embedded one goes with its folder.

    Raises:
        DemoError: it holds keys already, or cannot be reached.
    """
    if not given:
        yield
        return
    with Redis.from_url(given, socket_timeout=10) as client:
        try:
            held = int(client.dbsize())
        except RedisError as error:
            raise DemoError(
                f"SFMC_REDIS_URL: Redis cannot be reached ({error}); unset it to use the embedded one"
            ) from None
        if held:
            raise DemoError(f"SFMC_REDIS_URL: the demo wants an empty Redis and this one holds {held} keys; unset it")
        yield
        for pattern in OUR_KEYS:
            for key in client.scan_iter(pattern):
                client.delete(key)


def exports(settings: dict[str, str]) -> str:
    """Return settings as a file for a shell to read."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings.items())


def as_ctrl_c(signal_number: int, _frame: object) -> None:
    """Treat a request to end like Ctrl-C."""
    raise KeyboardInterrupt(signal_number)

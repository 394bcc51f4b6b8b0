"""Runs the demo: starts the processes, lets files arrive, shows the events, and compares the result with the plan."""

import contextlib
import os
import shlex
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from redis import Redis
from redis.exceptions import RedisError

from sfmc_import.errors import SfmcImportError
from sfmc_import.events import EventStream
from sfmc_import.private_files import write_private
from sfmc_local.demo_account import AccountError
from sfmc_local.demo_processes import PartError, Parts
from sfmc_local.demo_view import Record, View, view_for

CITIES = ("Oslo", "Lyon", "Graz", "Turin", "Ghent")
PIECES = 6


def contacts() -> tuple[str, str]:
    """Return name and text of a file of 500 contacts, named for today in the account's time zone (UTC)."""
    rows = (f"person{number}@example.com,{CITIES[number % len(CITIES)]}\n" for number in range(1, 501))
    return f"contacts_{datetime.now(UTC):%Y%m%d}.csv", "Email,City\n" + "".join(rows)


def newsletter() -> tuple[str, str]:
    """Return name and text of a file of 300 readers, ten of them twice."""
    numbers = [*range(1, 291), *range(1, 11)]
    return "newsletter.csv", "Email Address\n" + "".join(f"reader{number}@example.com\n" for number in numbers)


def orders() -> tuple[str, str]:
    """Return name and text of a file of 200 orders, four of them unreadable."""
    days = {50: "the 5th", 100: "31.02.2026", 150: "soon", 200: ""}
    rows = (f"{number if number != 200 else 'none'},{days.get(number, '2026-03-01')}\n" for number in range(1, 201))
    return "orders.csv", "Number,Day\n" + "".join(rows)


def drop(folder: Path, name: str, text: str) -> Path:
    """Put a whole file into the folder at once."""
    target = folder / name
    target.write_text(text)
    return target


def grow(folder: Path, name: str, text: str) -> Iterator[None]:
    """Write a file piece by piece, as a slow upload does; each step writes one piece."""
    target, size = folder / name, -(-len(text) // PIECES)
    for start in range(0, len(text), size):
        with target.open("a") as file:
            file.write(text[start : start + size])
        yield


STABLE_SECONDS = 1.0
"""How long a file must stay the same; the growing file pauses for less."""

Say = Callable[[str], None]


def script(parts: Parts, record: Record, say: Say, pause: float) -> Iterator[None]:
    """Act step by step; each `yield` hands over to whoever reads events, and nothing here waits by itself."""
    name, text = contacts()
    announced = drop(parts.arrivals, name, text)
    say(f"{name} arrives: 500 rows for a data extension")
    yield from during(pause)
    yield from growing(parts, say)
    yield from during(pause)
    name, text = orders()
    drop(parts.arrivals, name, text)
    say(f"{name} arrives: 200 rows, four of them bad, AllowErrors is true")
    yield from until(lambda: record.has("contacts", "completed"))
    yield from during(pause)
    say(f"{announced.name} is announced a second time, by hand")
    parts.run("start", "contacts", "--file", str(announced))
    if parts.has_server:
        yield from until(lambda: record.has("contacts", "duplicate"))
        say(f"{announced.name} is announced a third time, by an event that a program posts to a push source")
        yield from until(lambda: parts.post(event_of(announced)))


def event_of(file: Path) -> dict[str, Any]:
    """Return the CloudEvent of a file, as a program would write that knows name, size and time of it."""
    status = file.stat()
    facts: dict[str, Any] = {"location": file.parent.as_posix(), "name": file.name}
    facts |= {"size": status.st_size, "modified_ns": status.st_mtime_ns}
    head = {"specversion": "1.0", "id": "1", "source": "/demo", "type": "demo.file.arrived"}
    return {**head, "data": {"customer_key": "contacts", "file": facts}}


def growing(parts: Parts, say: Say) -> Iterator[None]:
    """Upload a file slowly."""
    name, text = newsletter()
    say(f"{name} begins to arrive: 300 rows for a list, ten of them twice")
    for _ in grow(parts.arrivals, name, text):
        yield from during(STABLE_SECONDS / 2)
    say(f"{name} is whole now")


def during(seconds: float) -> Iterator[None]:
    """Hand over until the time has passed."""
    end = time.monotonic() + seconds
    return until(lambda: time.monotonic() >= end)


def until(condition: Callable[[], bool]) -> Iterator[None]:
    """Hand over until the condition holds."""
    while not condition():
        yield


STREAM = "sfmc-import:events"
DEADLINE = 120.0
TICK = 0.05
PAUSE = 1.0
OUR_KEYS = ("sfmc-import:*", "{sfmc-import*", "imports*", "_kombu.*", "celery-task-meta-*")


class DemoError(SfmcImportError):
    """The demo could not run, or had another result than planned; the message is one line."""


class Demo:
    """The processes, the events read so far, and the view that shows them."""

    def __init__(self, parts: Parts, view: View, record: Record) -> None:
        self.parts, self.view, self.record = parts, view, record
        self.client = Redis.from_url(parts.redis_url, socket_timeout=10)
        self._stream = EventStream(self.client, STREAM)
        self._position = "0-0"

    def tick(self) -> None:
        """Show what is new, keep everything running, and wait a moment."""
        for name in self.parts.restart_ended():
            self.view.say(f"the {name} has ended and is started again")
        with contextlib.suppress(RedisError):  # gone for a moment: it was just started again
            self._read()
        time.sleep(TICK)

    def play(self, pause: float) -> None:
        """Act out the script until every request has ended.

        Raises:
            DemoError: something that should have happened did not.
        """
        deadline = time.monotonic() + DEADLINE
        steps: Iterator[None] = script(self.parts, self.record, self.view.say, pause)
        acted = False
        while not (acted and self.record.is_complete()):
            acted = acted or next(steps, self) is self
            self.tick()
            if time.monotonic() > deadline:
                raise DemoError(f"after {DEADLINE:.0f} s still missing: {', '.join(self.record.missing())}")

    def verify(self) -> None:
        """Compare with what should have happened, and with the starts that the sandbox recorded.

        Raises:
            DemoError: a request ended otherwise, or a definition was started more than once.
        """
        performs = Counter(self.parts.account.performs())
        twice = [f"{key} {number} times" for key, number in performs.items() if number > 1]
        if self.record.missing() or twice:
            raise DemoError("not as planned: " + ", ".join([*self.record.missing(), *twice]))
        announced = len(self.record.lines)
        self.view.say(f"{announced} requests, {performs.total()} starts in Marketing Cloud, none twice")

    def stay(self) -> NoReturn:
        """Keep everything running until Ctrl-C."""
        self.explain()
        while True:
            self.tick()

    def explain(self) -> None:
        """Say where files go and what to type."""
        folder = self.parts.folder
        name, text = newsletter()
        (folder / "samples" / name).write_text(text)
        write_private(folder / "env", exports(self.parts.settings).encode())
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
            self.view.say(words)

    def _read(self) -> None:
        for position, event in self._stream.after(self._position):
            self._position = position
            self.record.note(event)
            self.view.event(event)


def run(*, keep: bool, as_json: bool, fast: bool) -> None:
    """Show the demo.

    Raises:
        DemoError: it could not run, or had another result than planned.
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
            parts.start_product(stable_seconds=STABLE_SECONDS)
            demo.play(0 if fast else PAUSE)
            view.table()
            demo.verify()
            if keep:
                demo.stay()
    except (PartError, AccountError) as error:
        raise DemoError(str(error)) from None


def introduce(parts: Parts, view: View) -> None:
    """Say what has been started and where it is."""
    view.say(f"Redis:           {parts.redis_url}")
    view.say(f"Marketing Cloud: {parts.account.page} (the sandbox, three ImportDefinitions created over SOAP)")
    view.say(f"files arrive in: {parts.arrivals}")
    if parts.has_server:
        view.say(f"events go to:    {parts.server}/events/events (a push source)")
    view.say("a worker, a beat and a folder watcher start")


@contextlib.contextmanager
def clean_redis(given: str | None) -> Iterator[None]:
    """Check that the Redis of the user is empty, and delete our keys at the end; the embedded one goes with its folder.

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

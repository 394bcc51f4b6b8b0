"""What happens in the demo, in order: files arrive, one grows, one is announced twice; shows nothing itself."""

import time
from collections.abc import Callable, Iterator

from ops.demo import files
from ops.demo.parts import Parts
from ops.demo.record import Record

SETTLE_SECONDS = 1.0
"""How long a file must stay the same; the growing file pauses for less."""

Tell = Callable[[str], None]


def story(parts: Parts, record: Record, tell: Tell, pause: float) -> Iterator[None]:
    """Act step by step; each `yield` hands over to whoever reads events, and nothing here waits by itself."""
    name, text = files.contacts()
    announced = files.drop(parts.arrivals, name, text)
    tell(f"{name} arrives: 500 rows for a data extension")
    yield from during(pause)
    yield from growing(parts, tell)
    yield from during(pause)
    name, text = files.orders()
    files.drop(parts.arrivals, name, text)
    tell(f"{name} arrives: 200 rows, four of them bad, AllowErrors is true")
    yield from until(lambda: record.has("contacts", "completed"))
    yield from during(pause)
    tell(f"{announced.name} is announced a second time, by hand")
    parts.run("start", "contacts", "--file", str(announced))


def growing(parts: Parts, tell: Tell) -> Iterator[None]:
    """Upload a file slowly."""
    name, text = files.newsletter()
    tell(f"{name} begins to arrive: 300 rows for a list, ten of them twice")
    for _ in files.grow(parts.arrivals, name, text):
        yield from during(SETTLE_SECONDS / 2)
    tell(f"{name} is whole now")


def during(seconds: float) -> Iterator[None]:
    """Hand over until the time has passed."""
    end = time.monotonic() + seconds
    return until(lambda: time.monotonic() >= end)


def until(condition: Callable[[], bool]) -> Iterator[None]:
    """Hand over until the condition holds."""
    while not condition():
        yield

"""The sample files of the demo and how each arrives; knows neither events nor processes."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

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

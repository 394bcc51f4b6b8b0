"""How much the sandbox keeps, so that no caller can fill the memory; each limit has an option and a clear answer."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The limits, with their defaults. `rows` are those of one destination, `bad_rows` those kept of one run."""

    request_bytes: int = 4 * 1024 * 1024
    objects: int = 20_000
    runs: int = 250_000
    rows: int = 10_000_000
    bad_rows: int = 100_000


class TooMuchError(Exception):
    """A limit is reached; the text says which, and what to do."""

    def __init__(self, things: str, limit: int, option: str, remedy: str = "") -> None:
        super().__init__(f"the sandbox keeps {limit} {things} at most ({option}){remedy}")

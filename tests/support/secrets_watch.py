"""Looks into everything that a test run printed, logged and stored for the secrets that were used in it."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import cycle
from pathlib import Path

from sfmc_local.redis_server import Valkey

TOKEN_LENGTHS = (64, 700, 3000)
"""Characters of access tokens: of a legacy one, of one of today, and of one with many scopes."""

PIECE = 16
"""Characters of a piece of a secret that must not be shown either."""


class SecretsWatch:
    """Knows the secrets of a run, and where one of them, or a piece of it, was seen."""

    def __init__(self, *secrets: str) -> None:
        self._pieces: dict[str, None] = {}
        self._kept: list[tuple[str, str]] = []
        self.lengths = cycle(TOKEN_LENGTHS)
        self.use(*secrets)

    def use(self, *secrets: str) -> None:
        """Say that these are secrets."""
        self._pieces.update(dict.fromkeys(piece for secret in secrets for piece in pieces(secret)))

    def keep(self, where: str, text: str) -> None:
        """Look into this text at the end, when all secrets are known."""
        if text:
            self._kept.append((where, text))

    def seen_in(self, texts: Iterable[tuple[str, str]]) -> list[str]:
        """Say where a secret stands, with the text before it."""
        return [
            f"{where}: …{text[max(0, text.index(piece) - 80) : text.index(piece)]!r} and then a secret"
            for where, text in texts
            for piece in self._pieces
            if piece in text
        ]

    def seen_at_the_end(self) -> list[str]:
        """Say where a secret stands in what was kept."""
        return self.seen_in(self._kept)


def pieces(secret: str) -> set[str]:
    """Give the beginning, the end and some pieces between."""
    last = max(0, len(secret) - PIECE)
    return {secret[start : start + PIECE] for start in (0, last // 4, last // 2, 3 * last // 4, last)}


WATCH = SecretsWatch("demo-secret", "demo-password", "a-secret-of-this-test")
"""The secrets of this process's tests: the sandbox's logins, and what tests add."""


def tokens_of(data: Path) -> list[str]:
    """Give the tokens that a sandbox with this data folder has issued."""
    file = data / "sandbox.sqlite"
    if not file.is_file():
        return []
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        return [row[0] for row in connection.execute("SELECT token FROM tokens")]


def files_of(folder: Path) -> Iterator[tuple[str, str]]:
    """Give the logs in a folder."""
    for log in folder.glob("*.log"):
        yield str(log), log.read_text(errors="replace")


def writes_to(server: Valkey) -> Iterator[tuple[str, str]]:
    """Give every command that has changed this server, from its append-only files."""
    for file in server.folder.glob("appendonlydir/*.incr.aof"):
        yield f"Redis ({file.name})", file.read_text(errors="replace")

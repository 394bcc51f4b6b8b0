"""Decrypts PGP while it is read: GnuPG does it, between two pipes; the keys lie in a folder of this process alone."""

import io
import logging
import os
import subprocess
import tempfile
import threading
import weakref
from contextlib import suppress
from pathlib import Path
from queue import Empty, Full, Queue
from typing import Any, BinaryIO

import gnupg
from pydantic import SecretStr

from sfmc_import.errors import SettingsError
from sfmc_producers.content_errors import ContentDamagedError, ContentError, ContentLockedError, ContentUnavailableError
from sfmc_producers.delivery.ranged import as_file

CHUNK_BYTES, CHUNKS = 256 * 1024, 4
SILENT_SECONDS = 25.0
"""How long GnuPG may give nothing: less than targets wait for the next bytes."""

LOOK_SECONDS, END_SECONDS = 0.2, 30.0
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own in it, which only we can read
OPTIONS = ["--no-options", "--disable-dirmngr", "--no-auto-key-locate", "--no-auto-key-retrieve"]
FEW = 300
NO_KEY = {"NO_SECKEY", "ERROR", "NEED_PASSPHRASE", "BAD_PASSPHRASE", "MISSING_PASSPHRASE"}
BEGUN = {"DECRYPTION_KEY", "DECRYPTION_INFO", "NODATA"}
"""Words of GnuPG: that no key opens the file, and that one did, or that its data does not come."""


class Pgp:
    """The private keys of one target; `open` may be called by any thread.

    Raises SettingsError for keys that GnuPG does not take, or without GnuPG.
    """

    def __init__(self, keys: SecretStr, passphrase: SecretStr | None, where: str) -> None:
        # The library logs what it passes on.
        logging.getLogger("gnupg").setLevel(logging.CRITICAL)
        self._passphrase = passphrase.get_secret_value() if passphrase else None
        in_memory = MEMORY.is_dir() and os.access(MEMORY, os.W_OK)
        self._home = tempfile.mkdtemp(prefix="sfmc-pgp-", dir=MEMORY if in_memory else None)
        self._end = weakref.finalize(self, _remove, self._home)
        try:
            found = self._gpg().import_keys(keys.get_secret_value(), passphrase=self._passphrase)
        except (OSError, ValueError) as error:
            self.close()
            raise SettingsError([f"{where}: GnuPG does not run: {error}; install gpg"]) from None
        if not found.sec_imported:
            self.close()
            raise SettingsError(
                [f"{where}: it holds no private key that GnuPG reads, or SFMC_…_PGP_PASSPHRASE is wrong"]
            )

    def open(self, content: io.BufferedReader) -> BinaryIO:
        """Give the plain bytes; see `Decrypted`."""
        return as_file(Decrypted(self._gpg(), content, self._passphrase))

    def close(self) -> None:
        """End the agent of GnuPG and remove the keys; also done when the process ends."""
        self._end()

    def _gpg(self) -> gnupg.GPG:
        # One for each file: the receiver of the output belongs to it.
        gpg = gnupg.GPG(gnupghome=self._home, options=OPTIONS, encoding="utf-8")
        gpg.buffer_size = CHUNK_BYTES
        return gpg


class _Result(gnupg.Crypt):  # type: ignore[misc]
    """Notes what GnuPG said, beside what the library makes of it."""

    def __init__(self, gpg: gnupg.GPG) -> None:
        super().__init__(gpg)
        self.words: set[str] = set()

    def handle_status(self, key: str, value: str) -> None:
        self.words.add(key)
        super().handle_status(key, value)

    def problem(self) -> ContentError | None:
        if self.ok and self.returncode == 0:
            return None
        said = str(self.status or "GnuPG ended without a word")[:FEW]
        # Of a file that was cut it says the same with and without the key, so only a word about the key counts.
        if self.words & NO_KEY and not self.words & BEGUN:
            return ContentLockedError(f"it is encrypted for key {self.key_id}, which cannot open it: {said}")
        return ContentDamagedError(f"it cannot be decrypted (pgp): {said}")


class _Feed:
    """What GnuPG reads: the content, until somebody wants no more of it."""

    def __init__(self, content: io.BufferedReader) -> None:
        self._content, self.is_ended = content, False

    def read(self, size: int) -> bytes:
        return b"" if self.is_ended else self._content.read(size)


class Decrypted(io.RawIOBase):
    """The plain bytes of one file, a mebibyte of them in memory.

    Its end is reached only when GnuPG says that all was decrypted and not changed on the way; else reading raises
    ContentDamagedError. Signatures are not verified.
    """

    def __init__(self, gpg: gnupg.GPG, content: io.BufferedReader, passphrase: str | None) -> None:
        self._feed = _Feed(content)
        self._chunks: Queue[bytes | ContentError] = Queue(CHUNKS)
        self._rest = b""
        self._is_over = False
        self._result = _Result(gpg)
        # The library raises what the pipe says, and keeps to itself what GnuPG said.
        gpg.result_map = {**gpg.result_map, "crypt": lambda _: self._result}
        gpg.on_data = self._take
        self._thread = threading.Thread(target=self._decrypt, args=(gpg, passphrase), name="sfmc-pgp", daemon=True)
        self._thread.start()

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the beginning of `buffer`; 0 at the end."""
        data = self._rest or self._next()
        given, self._rest = data[: len(buffer)], data[len(buffer) :]
        buffer[: len(given)] = given
        return len(given)

    def close(self) -> None:
        """End GnuPG: without further input it ends by itself."""
        if not self.closed:
            self._feed.is_ended = True
            self._thread.join(END_SECONDS)
        super().close()

    def _next(self) -> bytes:
        if self._is_over:
            return b""
        try:
            found = self._chunks.get(timeout=SILENT_SECONDS)
        except Empty:
            raise ContentUnavailableError(f"GnuPG gives nothing for {SILENT_SECONDS:g} s") from None
        if isinstance(found, ContentError):
            raise found
        self._is_over = not found
        return found

    def _take(self, data: bytes) -> bool:
        if data:
            self._put(data)
        # The library keeps what is not refused.
        return False

    def _put(self, data: bytes | ContentError) -> None:
        while not self._feed.is_ended:
            with suppress(Full):
                self._chunks.put(data, timeout=LOOK_SECONDS)
                return

    def _decrypt(self, gpg: gnupg.GPG, passphrase: str | None) -> None:
        try:
            gpg.decrypt_file(self._feed, passphrase=passphrase, extra_args=["--skip-verify"])
        except ContentError as error:
            self._put(error)
            return
        except Exception as error:  # noqa: BLE001 - the edge of this thread: it is raised where the file is read
            if not isinstance(error, OSError):
                self._put(ContentUnavailableError(f"GnuPG: {error}"))
                return
        self._put(self._result.problem() or b"")


def _remove(home: str) -> None:
    """End the agent that GnuPG has left behind, and remove the folder."""
    with suppress(OSError, subprocess.SubprocessError):
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], timeout=10, check=False, capture_output=True)
    for each in sorted(Path(home).rglob("*"), reverse=True):
        with suppress(OSError):
            each.rmdir() if each.is_dir() and not each.is_symlink() else each.unlink()
    with suppress(OSError):
        Path(home).rmdir()

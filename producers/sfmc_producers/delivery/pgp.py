"""Decrypts PGP while it is read, and checks who signed it: GnuPG does it, between two pipes.

The keys lie in a folder of this process alone.
"""

import io
import logging
import os
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, Full, Queue
from typing import Any, BinaryIO

import gnupg
from pydantic import SecretStr

from sfmc_import.errors import SettingsError
from sfmc_producers.content_errors import (
    ContentDamagedError,
    ContentError,
    ContentLockedError,
    ContentUnavailableError,
    ContentUnsignedError,
)
from sfmc_producers.delivery.key_files import read_keys
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
NOT_GOOD = frozenset({"BADSIG", "ERRSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG"})
"""What GnuPG says of a signature that is wrong, unknown or too old; VALIDSIG follows some of these, too."""


class Pgp:
    """The private keys of one target, and the public keys that its routes trust; `open` may be called by any thread.

    Raises SettingsError for keys that GnuPG does not take, or without GnuPG.
    """

    def __init__(self, keys: SecretStr, passphrase: SecretStr | None, where: str) -> None:
        # The library logs what it passes on.
        logging.getLogger("gnupg").setLevel(logging.CRITICAL)
        self._passphrase = passphrase.get_secret_value() if passphrase else None
        self._signers: dict[str, frozenset[str]] = {}
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

    def open(self, content: io.BufferedReader, verify_with: Sequence[str] = ()) -> BinaryIO:
        """Give the plain bytes; see `Decrypted`. The files of `verify_with` were read by `trust`."""
        signers = frozenset[str]().union(*(self._signers[each] for each in verify_with)) if verify_with else None
        return as_file(Decrypted(self._gpg(), content, self._passphrase, signers))

    def trust(self, files: Sequence[str], where: str) -> None:
        """Read files of public keys, each once; raises SettingsError, which begins with `where`."""
        for each in files:
            if each not in self._signers:
                self._signers[each] = self._import(each, where)

    def _import(self, file: str, where: str) -> frozenset[str]:
        found = self._gpg().import_keys(read_keys(file, where))
        # Without the names of keys no file could pass.
        if not found.fingerprints:
            raise SettingsError([f"{where}: {file}: it holds no public key that GnuPG reads"])
        return frozenset(found.fingerprints)

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

    def __init__(self, gpg: gnupg.GPG, signers: Collection[str] | None) -> None:
        super().__init__(gpg)
        self.words: set[str] = set()
        self._signers, self._is_good = signers, False
        self._signed_by: list[str] = []

    def handle_status(self, key: str, value: str) -> None:
        self.words.add(key)
        self._note_signature(key, value)
        super().handle_status(key, value)

    def _note_signature(self, key: str, value: str) -> None:
        parts = value.split()
        if key == "GOODSIG":
            self._is_good = True
        elif key == "NEWSIG" or key in NOT_GOOD:
            self._is_good = False
        elif key == "VALIDSIG" and self._is_good and len(parts) >= 10:
            # The last is the key itself, the first the part of it that has signed.
            self._signed_by.append(parts[9])

    def problem(self) -> ContentError | None:
        is_over = bool(self.words & {"DECRYPTION_OKAY", *NOT_GOOD})
        if self._signers is not None and is_over and not self._is_signed(self._signers):
            return ContentUnsignedError(self._why_unsigned())
        if self.ok and self.returncode == 0:
            return None
        said = str(self.status or "GnuPG ended without a word")[:FEW]
        # Of a file that was cut it says the same with and without the key, so only a word about the key counts.
        if self.words & NO_KEY and not self.words & BEGUN:
            return ContentLockedError(f"it is encrypted for key {self.key_id}, which cannot open it: {said}")
        return ContentDamagedError(f"it cannot be decrypted (pgp): {said}")

    def _is_signed(self, signers: Collection[str]) -> bool:
        return any(each in signers for each in self._signed_by) and not self.words & NOT_GOOD

    def _why_unsigned(self) -> str:
        if "BADSIG" in self.words:
            return "its signature is not that of its content"
        if self.words & {"EXPSIG", "EXPKEYSIG", "REVKEYSIG"}:
            return f"its signature, or the key {self.key_id} that made it, has expired or was revoked"
        if self._signed_by or "ERRSIG" in self.words:
            signer = (self._signed_by or [str(self.key_id)])[-1]
            return f"it is signed with key {signer}, which is in no file of verify_with"
        return "it is not signed, and its route has verify_with"


class _Feed:
    """What GnuPG reads: the content, until somebody wants no more of it."""

    def __init__(self, content: io.BufferedReader) -> None:
        self._content, self.is_ended = content, False

    def read(self, size: int) -> bytes:
        return b"" if self.is_ended else self._content.read(size)


class Decrypted(io.RawIOBase):
    """The plain bytes of one file, a mebibyte of them in memory.

    Its end is reached only when GnuPG says that all was decrypted and not changed on the way; else reading raises
    ContentDamagedError. With `signers`, fingerprints of public keys, one of these must have signed it; else signatures
    are not verified.
    """

    def __init__(
        self,
        gpg: gnupg.GPG,
        content: io.BufferedReader,
        passphrase: str | None,
        signers: Collection[str] | None = None,
    ) -> None:
        self._feed = _Feed(content)
        self._chunks: Queue[bytes | ContentError] = Queue(CHUNKS)
        self._rest = b""
        self._is_over = False
        self._result = _Result(gpg, signers)
        self._verifying = ["--trust-model", "always"] if signers is not None else ["--skip-verify"]
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
            gpg.decrypt_file(self._feed, passphrase=passphrase, extra_args=self._verifying)
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

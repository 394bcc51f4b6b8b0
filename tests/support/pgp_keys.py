"""A pair of PGP keys for tests, made by GnuPG in a folder of the test."""

import subprocess
from pathlib import Path
from typing import Self


class PgpKeys:
    """Encrypts for its own key, whose private part it gives; with `passphrase` that part is protected."""

    def __init__(self, home: Path, passphrase: str = "") -> None:
        self._home, self._passphrase = home, passphrase

    def __enter__(self) -> Self:
        self._home.mkdir(mode=0o700, parents=True)
        self._gpg(*self._with_passphrase(), "--quick-gen-key", "drop@example.com", "rsa2048", "encr", "0")
        return self

    def __exit__(self, *_: object) -> None:
        command = ["gpgconf", "--homedir", str(self._home), "--kill", "all"]
        subprocess.run(command, check=True, capture_output=True, timeout=30)

    def private(self) -> str:
        """Give the private key as text."""
        return self._gpg("--armor", *self._with_passphrase(), "--export-secret-keys").decode()

    def encrypted(self, content: bytes) -> bytes:
        """Encrypt for the key."""
        return self._gpg("--trust-model", "always", "--recipient", "drop@example.com", "--encrypt", content=content)

    def _with_passphrase(self) -> tuple[str, ...]:
        return ("--passphrase", self._passphrase, "--pinentry-mode", "loopback")

    def _gpg(self, *arguments: str, content: bytes | None = None) -> bytes:
        command = ["gpg", "--homedir", str(self._home), "--batch", "--quiet", *arguments]
        return subprocess.run(command, input=content, check=True, capture_output=True, timeout=60).stdout

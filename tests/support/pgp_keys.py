"""Pairs of PGP keys for tests, made by GnuPG in folders of the test."""

import subprocess
from pathlib import Path
from typing import Self

LONG_AGO = ("--faked-system-time", "20200101T000000!")


class PgpKeys:
    """Encrypts for its own key, whose private part it gives; with `passphrase` that part is protected.

    With `usage` "sign" it signs instead, as another user.
    """

    def __init__(
        self, home: Path, passphrase: str = "", usage: str = "encr", expires: str = "0", *, since_long: bool = False
    ) -> None:
        self._home, self._passphrase, self._usage, self._expires = home, passphrase, usage, expires
        self._then = LONG_AGO if since_long or expires != "0" else ()
        self._user = {"encr": "drop@example.com", "sign": "partner@example.com"}[usage]

    def __enter__(self) -> Self:
        self._home.mkdir(mode=0o700, parents=True)
        self._gpg(
            *self._then, *self._with_passphrase(), "--quick-gen-key", self._user, "rsa2048", self._usage, self._expires
        )
        return self

    def __exit__(self, *_: object) -> None:
        command = ["gpgconf", "--homedir", str(self._home), "--kill", "all"]
        subprocess.run(command, check=True, capture_output=True, timeout=30)

    def private(self) -> str:
        """Give the private key as text."""
        return self._gpg("--armor", *self._with_passphrase(), "--export-secret-keys").decode()

    def public(self) -> bytes:
        """Give the public key, as text."""
        return self._gpg("--armor", "--export")

    def encrypted(self, content: bytes, *options: str) -> bytes:
        """Encrypt for the key."""
        return self._gpg(*options, "--trust-model", "always", "--recipient", self._user, "--encrypt", content=content)

    def signed_for(self, recipient: "PgpKeys", content: bytes) -> bytes:
        """Sign, and encrypt for the key of another."""
        self._gpg("--import", content=recipient.public())
        names = ("--trust-model", "always", "--local-user", self._user, "--recipient", recipient._user)
        return self._gpg(*names, "--sign", "--encrypt", content=content)

    def signed(self, content: bytes, *options: str) -> bytes:
        """Sign, and encrypt nothing."""
        return self._gpg(*options, "--compress-algo", "none", "--sign", content=content)

    def literal(self, content: bytes) -> bytes:
        """Write content as PGP does, neither signed nor encrypted."""
        return self._gpg("--compress-algo", "none", "--store", content=content)

    def wrapped(self, message: bytes) -> bytes:
        """Encrypt for the key what PGP has made before."""
        return self.encrypted(message, "--no-literal", "--compress-algo", "none")

    def _with_passphrase(self) -> tuple[str, ...]:
        return ("--passphrase", self._passphrase, "--pinentry-mode", "loopback")

    def _gpg(self, *arguments: str, content: bytes | None = None) -> bytes:
        command = ["gpg", "--homedir", str(self._home), "--batch", "--quiet", *arguments]
        return subprocess.run(command, input=content, check=True, capture_output=True, timeout=60).stdout

"""Which host keys of a server are accepted, and what is said about one that is not."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

from sfmc_import.errors import SettingsError
from sfmc_producers.sources.sftp.options import SftpOptions

PLAIN_ALGORITHMS = "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256"
"""Host keys without certificate: a pinned fingerprint is that of a key."""


@dataclass(frozen=True, slots=True)
class Trust:
    """The pinned fingerprints and keys of a server, any of which is accepted, or a file known_hosts."""

    fingerprints: frozenset[str]
    keys: tuple[asyncssh.SSHKey, ...] = ()
    known_hosts: Path | None = None

    def accepts(self, key: asyncssh.SSHKey) -> bool:
        """Say whether this key is pinned by its fingerprint."""
        return key.get_fingerprint() in self.fingerprints

    def arguments(self) -> dict[str, Any]:
        """Give what asyncssh must know: never None, which would mean that no key is checked."""
        if self.known_hosts is not None:
            return {"known_hosts": str(self.known_hosts)}
        algorithms = {"server_host_key_algs": PLAIN_ALGORITHMS} if self.fingerprints else {}
        return {"known_hosts": (list(self.keys), [], []), **algorithms}

    def not_pinned(self, keys: Sequence[asyncssh.SSHKey]) -> list[str]:
        """Of the keys that the server says it also has: those that would be refused."""
        return [shown_key(key) for key in keys if not self.accepts(key) and key not in self.keys]

    def refusal(self, address: str, offered: str | None) -> tuple[str, str]:
        """Say which key was offered, and what a person can do."""
        where = f"in {self.known_hosts}" if self.known_hosts else f"one of the {self._count} in host_keys"
        text = f"the host key of {address} is not {where}; the server offers {offered or 'a key of another type'}"
        add = "add it to that file" if self.known_hosts else "add it to host_keys beside the others"
        fix = (
            "Ask who runs the server, not the server, for its fingerprint. If the key was rotated, "
            f"{add}, start the source again, and remove the old one later; if not, somebody is in between."
        )
        return text, fix

    @property
    def _count(self) -> int:
        return len(self.fingerprints) + len(self.keys)


def read_trust(name: str, options: SftpOptions) -> Trust:
    """Read the host keys of a source; raises SettingsError for a key or file that cannot be read."""
    fingerprints = frozenset(each for each in options.host_keys if each.startswith("SHA256:"))
    try:
        keys = tuple(asyncssh.import_public_key(each) for each in options.host_keys if each not in fingerprints)
        if options.known_hosts is not None:
            asyncssh.read_known_hosts(str(options.known_hosts))
    except (asyncssh.KeyImportError, ValueError, OSError) as error:
        raise SettingsError([f"source {name}: host_keys or known_hosts cannot be read: {error}"]) from None
    return Trust(fingerprints, keys, options.known_hosts)


def shown_key(key: asyncssh.SSHKey) -> str:
    """Give the type and fingerprint of a key, as `ssh-keygen -l` would."""
    return f"{key.get_algorithm()} {key.get_fingerprint()}"

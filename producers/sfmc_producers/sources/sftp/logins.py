"""Exactly one way to log in: servers lock a user after some refused logins, so no second one is tried."""

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import asyncssh
from pydantic import SecretStr

from sfmc_import.errors import SettingsError
from sfmc_producers.sources.sftp.options import SftpOptions

Secret = Callable[[str], SecretStr | None]
"""Gives the secret SFMC_SOURCE_<name>_<WHAT>, or None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """One way: a password, a private key, or a key of the agent (any, if it has only one)."""

    user: str
    password: str | None = field(default=None, repr=False)
    key: asyncssh.SSHKey | None = field(default=None, repr=False)
    agent_key: str | None = None

    @property
    def method(self) -> str:
        """The method of SSH; no other is offered to the server."""
        return "password" if self.password is not None else "publickey"

    @property
    def shown(self) -> str:
        """What is tried, in words."""
        if self.password is not None:
            return "its password"
        if self.key is not None:
            return f"the key {self.key.get_fingerprint()}"
        return f"the key {self.agent_key or ''} of the agent".replace("  ", " ")


def read_login(name: str, options: SftpOptions, secret: Secret) -> Login:
    """Give the one login that the secrets and lines of a source name.

    Raises SettingsError when there is none or more than one, or when the key cannot be read.
    """
    password, key, passphrase = secret("password"), secret("key"), secret("passphrase")
    prefix = f"SFMC_SOURCE_{name.upper().replace('-', '_')}"
    ways = [password is not None, key is not None, options.agent]
    if sum(ways) != 1:
        given = "none of them is given" if not any(ways) else "more than one is given"
        text = f"give exactly one of {prefix}_PASSWORD, {prefix}_KEY and agent = true; {given}"
        raise SettingsError([f"source {name}: {text}"])
    if password is not None:
        return Login(user=options.user, password=password.get_secret_value())
    if key is not None:
        return Login(user=options.user, key=_read_key(f"{prefix}_KEY", key, passphrase))
    return Login(user=options.user, agent_key=options.agent_key)


def _read_key(setting: str, key: SecretStr, passphrase: SecretStr | None) -> asyncssh.SSHKey:
    text = key.get_secret_value().strip() + "\n"
    try:
        return asyncssh.import_private_key(text, passphrase.get_secret_value() if passphrase else None)
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        raise SettingsError([f"{setting}: {_why_unreadable(str(error), setting)}"]) from None


def _why_unreadable(text: str, setting: str) -> str:
    """Say in our words why a key cannot be read: the library's text may quote it."""
    if "bcrypt" in text:
        return "it is encrypted in the form of OpenSSH, which needs bcrypt: pip install 'sfmc-import[sftp]'"
    if "passphrase" in text.lower() or "decrypt" in text.lower():
        return f"it is encrypted; set {setting.removesuffix('_KEY')}_PASSPHRASE, or correct it"
    return "not a private key in the form of OpenSSH or PEM"


def chosen_of_agent(keys: Sequence[asyncssh.SSHKeyPair], wanted: str | None) -> asyncssh.SSHKeyPair | str:
    """Choose the one key of an agent that is tried, or say why none can be."""
    if wanted is None:
        if len(keys) == 1:
            return keys[0]
        return f"the agent has {len(keys)} keys; name one with agent_key, for each that is refused is a failed login"
    found = [each for each in keys if fingerprint_of(each) == wanted]
    return found[0] if found else f"the agent has no key {wanted}"


def fingerprint_of(pair: asyncssh.SSHKeyPair) -> str:
    """Give the fingerprint of the public half of a key."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(pair.public_data).digest()).decode().rstrip("=")

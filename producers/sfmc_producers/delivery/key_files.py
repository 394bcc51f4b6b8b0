"""Reads files of public keys that a route trusts."""

from pathlib import Path

from sfmc_import.errors import SettingsError
from sfmc_producers.checked_files import open_regular

MAX_KEY_BYTES = 1024 * 1024


def read_keys(file: str, where: str) -> bytes:
    """Give what a file of public keys holds; raises SettingsError, which begins with `where`."""
    try:
        with open_regular(Path(file)) as opened:
            text = opened.read(MAX_KEY_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it cannot be read"
        raise SettingsError([f"{where}: {file}: {reason}"]) from None
    if len(text) > MAX_KEY_BYTES:
        raise SettingsError([f"{where}: {file}: it holds no public key that GnuPG reads"])
    return text

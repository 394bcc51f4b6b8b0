"""Tells the logins of processes apart, without a word about their secrets."""

import hashlib

from sfmc_import.permits import Login
from sfmc_import.settings import Settings

ROUNDS = 20_000
ID_DIGITS = 4
"""So few that no one can check by them whether a guessed password is right: one in 65,536 wrong ones has the same."""

SHOWN_OF_A_NAME = 4


def known_login(settings: Settings) -> Login:
    """Say which login this process uses, and on which way: its secrets, the address of tokens and the proxies."""
    parts = (
        *(settings.client_id, settings.client_secret.get_secret_value()),
        *(settings.username, settings.password.get_secret_value()),
        *(settings.auth_url, settings.proxies, settings.proxies.secrets()),
    )
    salt = f"sfmc-import login\n{settings.token_key.get_secret_value()}".encode()
    found = hashlib.pbkdf2_hmac("sha256", repr(parts).encode("utf-8", "surrogatepass"), salt, ROUNDS).hex()
    return Login(id=found[:ID_DIGITS], shown=_shown(settings))


def _shown(settings: Settings) -> str:
    if settings.client_id:
        return f"client id {_masked(settings.client_id)}"
    return f"user {_masked(settings.username)}" if settings.username else ""


def _masked(name: str) -> str:
    """Give the beginning of a name, by which its owner knows it."""
    return f"{name[:SHOWN_OF_A_NAME]}…" if len(name) > 2 * SHOWN_OF_A_NAME else "…"

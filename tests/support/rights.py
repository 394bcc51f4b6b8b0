"""Users of Redis with exactly the rights that the page about Redis gives each kind of process."""

from collections.abc import Sequence
from typing import Any

from sfmc_import.redis_rights import ROLES, RoleName, rules

PREFIX = "sfmc-import:"
PASSWORD = "pw"
SHARED = "{sfmc-import:events}/"
TOKENS = f"{SHARED}token"
_UNANSWERED = {"worker": "no key", "operator": TOKENS, "server": TOKENS}
"""Keys of the workers alone: others ask for what they share, and need not be answered."""

_ROLE_OF: dict[str, RoleName] = {
    **dict.fromkeys(("worker", "doctor"), "worker"),
    "beat": "beat",
    "serve": "server",
    "notify": "notifier",
    **dict.fromkeys(("watch", "source", "sources", "scan", "explain", "start"), "producer"),
    **dict.fromkeys(("status", "events", "show", "requests", "runs", "usage"), "reader"),
}
_READING = frozenset({"list", "show", "--help"})


def role_of(command: Sequence[str]) -> RoleName:
    """Give the role of a process or command; what is none of the others is what an operator does."""
    known = _ROLE_OF.get(command[0])
    if known is not None:
        return known
    is_reading = len(command) == 1 or command[1] in _READING or command[1].startswith("-")
    return "reader" if command[0] in {"dead-letters", "folders", "definitions"} and is_reading else "operator"


def set_user(client: Any, name: str, *acl: str) -> None:
    """Make a user with these rights, without those that the server does not know."""
    version = tuple(map(int, str(client.info("server")["redis_version"]).split(".")[:2]))
    known = [rule for rule in acl if rule != "+waitaof" or version >= (7, 2)]
    client.execute_command("ACL", "SETUSER", name, "reset", f">{PASSWORD}", *known)


def set_users(client: Any) -> None:
    """Make a user for each role, with its name; they outlive a restart."""
    for name in ROLES:
        set_user(client, name, *rules(name, PREFIX))
    client.execute_command("ACL", "SAVE")


def permit(client: Any, role: RoleName, *acl: str) -> None:
    """Give the user of a role what an installation adds: the stream of a source, the queue of a sender."""
    client.execute_command("ACL", "SETUSER", role, *acl)
    client.execute_command("ACL", "SAVE")


def refused(client: Any) -> list[str]:
    """What the server refused to whom, but for what need not be answered."""
    log = client.execute_command("ACL", "LOG", 1000)
    entries = [dict(zip(entry[::2], entry[1::2], strict=True)) if isinstance(entry, list) else entry for entry in log]
    found = [(entry[b"username"].decode(), entry[b"object"].decode()) for entry in entries]
    # Whether a start is on disk before it is sent is asked for, and need not be answered.
    return [
        f"{user} {what}"
        for user, what in found
        if user in ROLES and what != "config|get" and not what.startswith(_UNANSWERED.get(user, SHARED))
    ]

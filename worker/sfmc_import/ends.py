"""What somebody should do about a request, by how it ended: one text, the actions and commands of all surfaces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sfmc_import.advice import Command

_RIGHT = "give the installed package the right that is missing, then replay it"
_REPORT = "report it with its text: the same request would be refused again"
_REJECTED: Mapping[str, str] = {
    **dict.fromkeys(("4", "5", "6", "11", "permission_failed"), _RIGHT),
    **dict.fromkeys(("http_400", "unsendable", "not_retrievable"), _REPORT),
    "pattern_mismatch": "if the text says that the definition was changed, look at it and replay the request; else"
    " submit the right file, or correct FileSpec or SFMC_TIME_ZONE and replay it",
    "file_too_old": "send a new file, or raise MaxFileAge of the definition and replay it",
    "43010": "start the file under the CustomerKey that the definition has, or create the definition first; if a"
    " [[route]] or a source names this key, correct it there too, or the next file fails alike",
    "two_definitions": "start the file by CustomerKey or by ObjectID alone",
    "other_business_unit": "start the file in a business unit (MID) that the login may use, or give the installed"
    " package access to this one first",
    "preflight": "correct the file and send it again, or change the definition or the route",
    "damaged": "let the sender send it again, or correct unpack of the route",
    "bad_signature": "ask the sender; then let it send the file again, as a new file",
    "invalid": "correct the sender; it sends a new request",
}
_ENDS: Mapping[str, str] = {
    "rejected": "correct what Marketing Cloud or the text names, then replay it",
    "import_failed": "correct the file or the definition; then start the corrected file, or replay this one",
    "start_unknown": "look in Marketing Cloud whether the import ran, then resolve it",
    "gave_up": "fix the cause, then replay it",
    "expired": "replay it if it is still wanted, or let the sender give a later deadline",
    "follow_timed_out": "look in Marketing Cloud how the run ended, or follow it again",
    "completed_suspicious": "look at the file and at the run; if the file was wrong, replay the right one by force",
    "completed_with_errors": "look at the run in Marketing Cloud, and correct the rows that were not imported",
    "completed_empty": "look whether the file was empty, or whether FileSpec names another file",
}

_NEXT: Mapping[str, tuple[str, ...]] = {
    "accepted": ("cancel", "pause"),
    "deferred": ("cancel", "force", "pause"),
    "retrying": ("cancel", "pause"),
    "start_unknown": ("resolve",),
    "not_started": ("replay", "resolve"),
    "follow_timed_out": ("follow", "settle"),
    "cancelled": ("replay",),
    **dict.fromkeys(("rejected", "gave_up", "expired", "import_failed"), ("replay", "settle")),
    **dict.fromkeys(("completed", "duplicate"), ("replay --force",)),
    **dict.fromkeys(("completed_with_errors", "completed_empty", "completed_suspicious"), ("replay --force", "settle")),
}
_REPEATS_THE_FAULT: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("43010", "two_definitions", "other_business_unit"), ("start", "settle")),
    **dict.fromkeys(("http_400", "unsendable", "not_retrievable", "invalid"), ("settle",)),
    **dict.fromkeys(("preflight", "damaged", "bad_signature"), ("settle",)),
}
"""Codes of `rejected` after which a replay would ask for the same that was refused; what helps in its place."""


def advice_for_end(state: str, code: str | None) -> str | None:
    """Say what somebody should do about a request that ended so; None where nothing is to do.

    `code` is that of its last event.
    """
    known = _REJECTED.get(code or "") if state == "rejected" else None
    return known or _ENDS.get(state)


def actions(
    state: str,
    code: str | None = None,
    *,
    is_settled: bool = False,
    is_imported: bool = False,
    is_replayed: bool = False,
) -> tuple[str, ...]:
    """Give the actions that would help in a state; nothing helps while a start is sent or its run is followed.

    `is_imported` says that a newer file of the name was imported since: a replay imports that one again.
    `is_replayed` says that a replay is under way, or may have imported the file.
    """
    if is_settled:
        return ("replay --force",)
    found = _NEXT.get(state, ())
    if state == "rejected":
        found = _REPEATS_THE_FAULT.get(code or "", found)
    needs_force = is_imported or is_replayed
    return tuple("replay --force" if needs_force and each == "replay" else each for each in found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What commands about a request need of it; `scope` is the pause that it waits for."""

    request_id: str
    customer_key: str
    mid: str
    task_id: str = ""
    file: Mapping[str, Any] | None = None
    scope: str = ""
    state: str = ""


def commands(names: Sequence[str], of: Subject) -> list[tuple[str, Command]]:
    """Give the commands of some actions, each with what it is for; words in capitals are to be replaced."""
    return [pair for name in names for pair in _commands(name, of)]


def _commands(name: str, of: Subject) -> list[tuple[str, Command]]:
    request_id, unit = of.request_id, ("--mid", of.mid)
    if name == "resolve":
        ran = ("if it ran", Command(("resolve", request_id, "--task-id", "N")))
        did_not = ("if it did not", Command(("resolve", request_id, "--not-started", "--reason", "TEXT")))
        return [ran] if of.state == "not_started" else [ran, did_not]
    if name == "settle":
        return [("once it is dealt with", Command(("settle", request_id, "--reason", "TEXT")))]
    words: Mapping[str, tuple[str, ...]] = {
        "cancel": ("cancel", request_id),
        "force": ("force", request_id, "--reason", "TEXT"),
        "pause": ("pause", of.customer_key, *unit, "--reason", "TEXT"),
        "resume": ("resume", *_of_scope(of)),
        "replay": ("replay", request_id),
        "replay --force": ("replay", request_id, "--force", "--reason", "TEXT"),
        "follow": ("follow", of.task_id, *unit),
        "start": ("start", "KEY", "--mid", "MID", *path_option(of.file)),
    }
    return [("", Command(words[name]))] if name in words else []


def _of_scope(of: Subject) -> tuple[str, ...]:
    if of.scope == "all":
        return ("--all",)
    unit = ("--mid", of.mid)
    return ("--unit", *unit) if of.scope.startswith("mid:") else (of.customer_key, *unit)


def path_option(file: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Give the option that names a file; one elsewhere than in a folder has no path that a person could type."""
    folder, name = (file or {}).get("location"), (file or {}).get("name")
    return ("--file", f"{folder}/{name}") if str(folder or "").startswith("/") else ()


def written(found: Sequence[tuple[str, Command]]) -> str:
    """Write commands behind a sentence: one after a colon, several each with what it is for."""
    return "".join(f"; {lead}: {command}" if lead else f": {command}" for lead, command in found)

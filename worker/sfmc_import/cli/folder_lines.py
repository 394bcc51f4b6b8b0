"""What `status` prints about watched folders: one line for each folder, and for each file that waits."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

REASONS = {
    "growing": "not complete yet",
    "no_marker": "its marker file is missing",
    "empty": "empty",
    "open": "a program has it open for writing",
    "unmatched": "no definition matches",
    "ambiguous": "several definitions match",
    "refused": "refused",
    "unavailable": "Redis or the list of definitions does not answer",
    "delivering": "is not delivered yet",
    "unreadable": "cannot be read",
    "unnamable": "its name is no text",
    "unmoved": "accepted, and cannot be moved or deleted",
}
STATES = {
    "watched": "watched",
    "hanging": "HANGING: its file system does not answer",
    "unreadable": "CANNOT BE READ",
}


def watcher_lines(watchers: Sequence[Mapping[str, Any]]) -> list[str]:
    """Give the lines; a folder that two watchers see in the same state stands there once."""
    return [line for folder in _by_folder(watchers) for line in _folder_lines(folder)]


def _by_folder(watchers: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for folder in (each for watcher in watchers for each in watcher["folders"]):
        name = (folder["location"], folder["state"])
        # Of two watchers the one with more to say: the other has just begun.
        if name not in found or len(folder["files"]) > len(found[name]["files"]):
            found[name] = folder
    yield from (found[name] for name in sorted(found))


def _folder_lines(folder: Mapping[str, Any]) -> Iterator[str]:
    state = STATES.get(folder["state"], folder["state"])
    yield "  ".join(["  folder", folder["folder"], _said(state, folder)])
    for file in folder["files"]:
        reason = REASONS.get(file["reason"], file["reason"])
        yield "  ".join(["    waits", file["name"], _said(reason, file)])
    if folder["more"]:
        yield f"    and {folder['more']} more"


def _said(what: str, about: Mapping[str, Any]) -> str:
    text = f" ({about['text']})" if about.get("text") else ""
    since = f", since {_time(about['since'])}" if "since" in about else ""
    return f"{what}{text}{since}"


def _time(value: float) -> str:
    return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

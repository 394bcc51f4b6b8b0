"""What helps against an error, for people with a browser: a sentence, and the page where it is done."""

from collections.abc import Mapping
from dataclasses import dataclass

from sfmc_import.advice import Advice
from sfmc_server.console.paths import request_path

LABELS: Mapping[str, str] = {
    "cancel": "Cancel",
    "force": "Start now",
    "replay": "Replay",
    "resolve": "Resolve",
    "follow": "Follow again",
    "start": "Start",
    "settle": "Settle",
}
"""The actions on a request that have a page, and the words of their buttons."""


@dataclass(frozen=True, slots=True)
class Link:
    """A page of the console, and the words on its button."""

    path: str
    label: str


_PAGES: Mapping[tuple[str, ...], Link] = {
    ("dead-letters",): Link("/dead-letters", "Dead letters"),
    ("pause", "--list"): Link("/pauses", "Pauses"),
    ("status",): Link("/", "Overview"),
    ("status", "--unmatched"): Link("/unmatched", "Unmatched files"),
}
"""The pages that show what these commands show."""


def link_of(advice: Advice) -> Link | None:
    """Give the page where an advice is followed; None where the console has none."""
    if advice.request_id and advice.action in LABELS:
        return Link(request_path(advice.request_id, advice.action), LABELS[advice.action])
    return None if advice.command is None else _PAGES.get(advice.command.words)

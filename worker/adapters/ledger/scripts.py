"""Loading of the Lua scripts: prelude, life table and settings are put together here; nothing is executed."""

from collections.abc import Callable, Mapping
from importlib.resources import files

from worker.domain.life import as_lua

_FIRST_TO_SEE = frozenset({"accept", "refuse", "take", "started"})
STEPS = (
    "accept",
    "refuse",
    "take",
    "sending",
    "not_sent",
    "started",
    "retry",
    "doubt",
    "look_again",
    "unknown",
    "reject",
    "progressed",
    "ended",
    "resume",
    "resolve",
    "due",
    "followed",
    "report",
    "pulse",
)


def read_script(name: str) -> str:
    """Give the text of one file of Lua in this package."""
    return (files("worker.adapters.ledger") / "scripts" / f"{name}.lua").read_text("utf-8")


def _as_table(settings: Mapping[str, int]) -> str:
    return "{" + ",".join(f"{name}={value}" for name, value in settings.items()) + "}"


def sources(settings: Mapping[str, int], read: Callable[[str], str] = read_script) -> dict[str, str]:
    """Give the full text of every script by step; `settings` are whole numbers, times in milliseconds.

    `read` gives the text of a file by its name; tests read through one that sets the clock or a mutation.
    """
    prelude = read("prelude").replace("@LIFE@", as_lua()).replace("@SETTINGS@", _as_table(settings))
    new_request = read("new_request")
    return {step: "\n".join((prelude, new_request if step in _FIRST_TO_SEE else "", read(step))) for step in STEPS}

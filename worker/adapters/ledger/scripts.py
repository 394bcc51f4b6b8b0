"""Loading of the Lua scripts: prelude, life table and settings are put together here; nothing is executed."""

from collections.abc import Mapping
from importlib.resources import files

from worker.domain.life import as_lua

_FIRST_TO_SEE = frozenset({"accept", "refuse", "take"})
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
    "due",
    "followed",
    "report",
)


def _as_table(settings: Mapping[str, int]) -> str:
    return "{" + ",".join(f"{name}={value}" for name, value in settings.items()) + "}"


def sources(settings: Mapping[str, int]) -> dict[str, str]:
    """Give the full text of every script by step; `settings` are whole numbers, times in milliseconds."""
    room = files("worker.adapters.ledger") / "scripts"
    prelude = (room / "prelude.lua").read_text("utf-8")
    prelude = prelude.replace("@LIFE@", as_lua()).replace("@SETTINGS@", _as_table(settings))
    new_request = (room / "new_request.lua").read_text("utf-8")
    texts = {}
    for step in STEPS:
        body = (room / f"{step}.lua").read_text("utf-8")
        texts[step] = "\n".join((prelude, new_request if step in _FIRST_TO_SEE else "", body))
    return texts

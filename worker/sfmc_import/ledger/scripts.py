"""Joins the Lua files by topic into one script for each step."""

from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files

from sfmc_import.ledger.lua_functions import (
    in_one_table,
    made_late,
    names_in,
    with_constants,
    with_settings,
    without_unused,
)
from sfmc_import.ledger.lua_names import to_lua
from sfmc_import.small_letters import to_lua_text
from sfmc_import.states import FAILED, SETTLED, WARNED, to_lua_set, to_lua_table

EVERY = ("lib", "records")
"""The Lua files of every script."""

_LEASED = ("lease", "starting")
_ENDING = ("follow_ups", "lease", "duplicates")
STEPS: Mapping[str, tuple[str, ...]] = {
    "accept": ("upkeep",),
    "hold": (*_ENDING, "upkeep"),
    "unresolved": (*_ENDING, "upkeep"),
    "outlived": ("lease", "upkeep"),
    "held": ("upkeep",),
    "read_again": (*_ENDING, "upkeep"),
    "claim": (*_ENDING, "pausing", "ordering", "places", "claim"),
    "record_intent": ("follow_ups", "lease", "pausing", "ordering", "places", "starting"),
    "renew_intent": ("follow_ups", "lease", "pausing", "ordering", "places", "starting"),
    "withdraw_intent": _LEASED,
    "started": (*_ENDING, "starting"),
    "retry": (*_ENDING, "starting"),
    "mark_ambiguous": _LEASED,
    "reconcile_later": _LEASED,
    "record_start_unknown": (*_ENDING, "starting"),
    "reject": (*_ENDING, "starting"),
    "resolve": (*_ENDING, "starting"),
    "polling": (*_ENDING, "following"),
    "progressed": ("lease", "following"),
    "ended": (*_ENDING, "ordering", "following"),
    "resume": ("lease", "following"),
    "due": ("pausing", "clock", "upkeep"),
    "replies": ("upkeep",),
    "followed": ("following",),
    "report": ("upkeep",),
    "note_folders": ("upkeep",),
    "write_probe": ("upkeep",),
    "note_server": ("upkeep",),
    "present": ("processes",),
    "absent": ("processes",),
    "take_over": ("processes",),
    "pause": ("pausing",),
    "lift_pause": ("pausing",),
    "wake_paused": ("pausing",),
    "cancel": (*_ENDING, "operators"),
    "force": (*_ENDING, "operators"),
    "settle": (*_ENDING, "operators"),
    "take_permits": ("quota",),
    "probe_circuit": ("quota",),
    "report_circuit": ("quota",),
    "look_for_token": ("tokens",),
    "leave_token": ("tokens",),
    "share_token": ("tokens",),
}
"""The Lua files that a step needs beside `EVERY`, in order: each script creates all functions of its files anew."""

SELDOM = frozenset(
    {
        *("admit_one", "admit_suspect", "defer", "end_after_look", "end_lost", "end_unresolved"),
        *("end_unstarted", "erase", "expire", "expire_ambiguous", "failed_last", "failed_place"),
        *("forget_previous_window", "give_up_reconciling", "hand_on_place", "is_paused", "keeps_places"),
        *("forget_unknown", "in_small_letters", "note_unknown", "unknown_until"),
        *("look_again", "set_window_right", "shorten_suspect"),
        *("lease_over", "leave_other_places", "leave_place", "leave_places", "let_first_look"),
        *("let_go_of_attempt", "list_newest", "look_for_place", "moment_of", "note_error", "note_home", "note_losses"),
        *("open_line", "other_suspect", "pass_duplicates", "place_of", "place_waiters_key", "read_first"),
        *("refuse_other_content", "resolve_anew", "restore_window", "take_up_duplicate", "wait_after"),
        *("wait_as_follow_up", "wait_as_suspect", "wait_for_room", "wait_for_window", "wait_paused"),
        *("wait_under_new_key", "wait_unresolved", "while_deferred", "while_holding", "while_postponed"),
    }
)
"""Functions that no usual life of a start calls, and no duplicate: a script makes them, and what they alone need, when
one of them is called. Where the list is wrong a call costs more, and is as right."""


BRING_NEW = frozenset({"accept", "report"})
"""Steps that bring something new: a Redis without memory refuses them, unless a worker works off its queue."""

NEEDS_NO_MEMORY = """-- A Redis that is full refuses a script whose first write may need memory; this one needs none.
redis.call('ZREM', DUE, '')
"""
FOR_WORKERS = "if a.works_off == true then redis.call('ZREM', DUE, '') end\n"


def read_part(name: str) -> str:
    """Give one file of Lua of this package, with the keys and the table of transitions filled in."""
    text = (files("sfmc_import.ledger") / f"{name}.lua").read_text("utf-8")
    return (
        text.replace("@KEYS@", to_lua())
        .replace("@TRANSITIONS@", to_lua_table())
        .replace("@FAILED@", to_lua_set(FAILED))
        .replace("@WARNED@", to_lua_set(WARNED))
        .replace("@SETTLED@", to_lua_set(SETTLED))
        .replace("@LETTERS@", to_lua_text())
    )


def sources(settings: Mapping[str, int], read: Callable[[str], str] = read_part) -> dict[str, str]:
    """Give the full text of every script by step; `settings` are whole numbers, times in milliseconds.

    `read` gives the text of a file by its name; tests read through one that sets the clock or a mutation.
    """
    names, reading = cache(names_in), cache(read)  # most functions, and files, belong to many scripts
    return {step: _joined(step, settings, reading, names) for step in STEPS}


@cache
def source(step: str, settings: tuple[tuple[str, int], ...]) -> str:
    """Give the text of one script: a process needs few of them, and each takes some milliseconds to make."""
    return _joined(step, dict(settings), _read_once, _names_once)


@cache
def _read_once(name: str) -> str:
    return read_part(name)


@cache
def _names_once(text: str) -> set[str]:
    return names_in(text)


def _joined(
    step: str, settings: Mapping[str, int], read: Callable[[str], str], names: Callable[[str], set[str]]
) -> str:
    given = f"local given = steps.{step}()\nwrite_all()\nreturn given\n"
    text = "\n".join((*map(read, (*EVERY, *STEPS[step])), _first_write(step), given))
    text = with_constants(with_settings(without_unused(text, names), settings))
    # A table of names has become a function, which perhaps only those name that are left out.
    return made_late(in_one_table(without_unused(text, names)), SELDOM, names)


def _first_write(step: str) -> str:
    if step == "followed":
        return ""
    return FOR_WORKERS if step in BRING_NEW else NEEDS_NO_MEMORY

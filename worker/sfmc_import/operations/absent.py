"""Says which processes must be started before anything goes on by itself."""

from collections.abc import Iterable

KINDS = ("worker", "beat")


def absent_kinds(missing: Iterable[str]) -> tuple[str, ...]:
    """Give the kinds of process that must be started, by the sentences about those that do not run."""
    said = tuple(missing)
    return tuple(kind for kind in KINDS if any(f"start sfmc-import {kind}" in each for each in said))


def commands_of(kinds: Iterable[str]) -> str:
    """Name the commands that start them."""
    return " and ".join(f"sfmc-import {kind}" for kind in kinds)


def once_they_run(kinds: tuple[str, ...]) -> str:
    """Say that something holds only once they run."""
    return f", once {commands_of(kinds)} run{'s' if len(kinds) == 1 else ''}"


def go_on_with(advice: str, kinds: tuple[str, ...]) -> str:
    """Say of an advice for many requests what must run before they go on by themselves."""
    if not kinds:
        return advice
    if advice == BY_THEMSELVES:
        return f"To do: start {commands_of(kinds)}. {AFTER_THAT}"
    return advice.replace(AFTER_THAT, f"{AFTER_THAT.removesuffix('.')}{once_they_run(kinds)}.")


BY_THEMSELVES = "Requests go on by themselves."
AFTER_THAT = "Requests go on by themselves after that."

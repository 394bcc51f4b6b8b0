"""Lists of definitions that are old: files are routed by them while Marketing Cloud cannot be asked."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sfmc_import.ledger.ledger_settings import WATCH_SECONDS
from sfmc_import.ledger.reading import LedgerReader
from sfmc_import.operations.budgets import of_watchers
from sfmc_import.operations.fixing import Login, fix_for, with_what_follows
from sfmc_import.operations.views import Time, View, time_of
from sfmc_import.redaction import hidden_in
from sfmc_import.waiting import BUDGET


class OldDefinitionsView(View):
    """The list of a business unit that some process routes files by, although it could not be read anew.

    `since` is when that failed first, `read_at` when the list was read, `code` and `text` what failed last.
    """

    mid: str
    since: Time
    read_at: Time | None = None
    code: str
    text: str
    advice: str
    watchers: tuple[str, ...] = ()


def old_definitions(reader: LedgerReader, login: Login, time_zone: str) -> tuple[OldDefinitionsView, ...]:
    """Give them as watchers and sources say it now, the oldest of each business unit; days are those of `time_zone`."""
    found = gathered(living(reader), login)
    if not any(each.code == BUDGET for each in found):
        return found
    now = reader.now()
    return tuple(_with_budget(each, now, time_zone) for each in found)


def _with_budget(old: OldDefinitionsView, now: float, time_zone: str) -> OldDefinitionsView:
    return old.model_copy(update={"advice": of_watchers(old.advice, [old.text], old.watchers, now, time_zone)})


def living(reader: LedgerReader) -> list[Mapping[str, Any]]:
    """Give what watchers and sources that live say."""
    now = reader.now()
    return [each for each in reader.watchers() if now - each["seen_at"] < WATCH_SECONDS]


def gathered(watchers: Iterable[Mapping[str, Any]], login: Login = "") -> tuple[OldDefinitionsView, ...]:
    """Bring together what living watchers say."""
    said: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
    for each in watchers:
        for old in said_by(each):
            said.setdefault(old["mid"], []).append((each["watcher"], old))
    return tuple(_view(mid, found, login) for mid, found in sorted(said.items()))


def said_by(watcher: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Give what one process says: it stands once among its folders."""
    return [old for folder in watcher["folders"] for old in folder.get("definitions", ())]


def logins_by_watcher(watchers: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Give the id of the login with which each process reads its lists; empty where it does not say it."""
    said = ((each["watcher"], [folder.get("login") for folder in each["folders"]]) for each in watchers)
    return {watcher: next(filter(None, logins), "") for watcher, logins in said}


def _view(mid: str, found: Sequence[tuple[str, Mapping[str, Any]]], login: Login) -> OldDefinitionsView:
    old = min((each for _, each in found), key=lambda each: each["since"])
    since, read_at = time_of(old["since"]), time_of(old.get("looked_at"))
    assert since is not None
    view = OldDefinitionsView(
        mid=mid,
        since=since,
        read_at=read_at,
        code=old["code"],
        text=old["text"],
        advice=with_what_follows(fix_for(old["code"], login), "they are read anew by themselves"),
        watchers=tuple(sorted({watcher for watcher, _ in found})),
    )
    return OldDefinitionsView.model_validate(hidden_in(view.model_dump()))


def sentence(old: OldDefinitionsView) -> str:
    """Say it in one sentence, without its full stop."""
    read = "" if old.read_at is None else f" as they were read at {old.read_at:%Y-%m-%d %H:%M:%S} UTC"
    return (
        f"business unit {old.mid}: files are routed by definitions{read}; they cannot be read anew since"
        f" {old.since:%Y-%m-%d %H:%M:%S} UTC (failed last with code {old.code}): {old.text.rstrip('.')}"
    )

"""What the commands `watch` and `start` do: errors a user can cause become one line and an exit code."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import click

from producers import publish
from producers.folder import Folder, check_readable
from producers.outcome import Printer
from producers.stability import TEMPORARY, SettleRule
from producers.watching import watch
from worker.door import BadRouteError, Door, DoorClosedError, SettingsError, open_door
from worker.messages import Arrival, BadRequestError

# "/data/eu,key=contacts": a comma starts an option only where a known name follows, so paths may have commas.
_OPTION = re.compile(r",(?=(?:mid|key|pattern|location)=)")


class UnusableError(click.ClickException):
    """Something the user gave cannot be used; one line, exit code 2."""

    exit_code = 2


def run_watch(
    given: tuple[str, ...],
    *,
    settle: float,
    looks: int,
    rescan: float,
    done_suffix: str | None,
    temporary: tuple[str, ...],
    empty: Any,
    recursive: bool,
    as_json: bool,
    **usual: str | None,
) -> None:
    """Watch folders until a signal ends it."""
    rule = SettleRule(
        looks=looks, seconds=settle, temporary=TEMPORARY + temporary, done_suffix=done_suffix or None, empty=empty
    )
    folders = [read_folder(each, usual, rule, recursive=recursive) for each in given]
    _check_folders(folders)
    with _opened() as door:
        _check_mids(folders, door)
        door.start_logging("json" if as_json else None)
        try:
            watch(door, folders, rescan=rescan)
        except BadRouteError as error:
            raise UnusableError(str(error)) from None


def run_start(
    customer_key: str, *, wait: bool, timeout: float | None, as_json: bool, file: Path | None, **wish: Any
) -> None:
    """Submit one request and, with `wait`, follow it; ends the process with the exit code."""
    printer = Printer(as_json=as_json)
    with _opened() as door, _one_line_each():
        door.start_logging("json" if as_json else None)
        receipt = publish.submit(door, customer_key=customer_key, file=_arrival(file), source="command", **wish)
        printer.receipt(receipt, customer_key)
        if wait:
            raise SystemExit(printer.follow(door.follow(receipt.request_id, timeout), receipt.request_id, timeout))


def read_folder(given: str, usual: Mapping[str, str | None], rule: SettleRule, *, recursive: bool) -> Folder:
    """Read one DIR with its own options, as in '/data/eu,key=contacts', over the `usual` ones."""
    path, *own = _OPTION.split(given)
    options = dict(usual) | dict(each.split("=", 1) for each in own)
    # abspath, not resolve(): the path a person gave is the identity, also where a link is part of it.
    absolute = Path(os.path.abspath(path))  # noqa: PTH100
    return Folder(
        path=absolute,
        location=options.get("location") or absolute.as_posix(),
        mid=options.get("mid"),
        key=options.get("key"),
        pattern=options.get("pattern") or "*",
        recursive=recursive,
        rule=rule,
    )


def _check_folders(folders: list[Folder]) -> None:
    problems = check_readable(each.path for each in folders)
    places = [each.location for each in folders]
    problems += [f"location {each} stands for two folders" for each in dict.fromkeys(places) if places.count(each) > 1]
    if problems:
        raise UnusableError("; ".join(problems))


def _check_mids(folders: list[Folder], door: Door) -> None:
    """A folder without a usable business unit would refuse every file, so say it before anything is watched."""
    for folder in folders:
        mid = folder.mid or door.mid
        if not (mid.isascii() and mid.isdigit()):
            raise UnusableError(f"folder {folder.path}: no business unit; set SFMC_ACCOUNT_ID or give --mid MID")


def _arrival(file: Path | None) -> Arrival | None:
    try:
        return None if file is None else publish.arrival_at(file)
    except OSError as error:
        raise UnusableError(f"file {file} cannot be read: {error.strerror}") from None


@contextmanager
def _opened() -> Iterator[Door]:
    """Open the door; wrong settings are told one a line and end the process with exit code 2."""
    try:
        door = open_door(os.environ)
    except SettingsError as error:
        raise UnusableError("wrong settings\n" + "\n".join(error.problems)) from None
    with door:
        yield door


@contextmanager
def _one_line_each() -> Iterator[None]:
    try:
        yield
    except BadRequestError as error:
        raise UnusableError(str(error)) from None
    except DoorClosedError as error:
        _fail(str(error))


def _fail(text: str) -> NoReturn:
    raise click.ClickException(text)

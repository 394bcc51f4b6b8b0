"""What the commands `watch` and `start` do; errors of settings, requests and the door are told by who calls them."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from producers import publish
from producers.folder import Folder, check_readable
from producers.outcome import Printer
from producers.stability import TEMPORARY, SettleRule
from producers.watching import watch
from worker.door import BadRouteError, Door, open_door
from worker.messages import Arrival, BadRequestError, read_request

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
    with open_door(os.environ) as door:
        _check_targets(folders, door)
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
    with open_door(os.environ) as door:
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


def _check_targets(folders: list[Folder], door: Door) -> None:
    """A folder with an impossible business unit or key would refuse every file, so say it before it is watched."""
    for folder in folders:
        if not (folder.mid or door.mid):
            raise UnusableError(f"folder {folder.path}: no business unit; set SFMC_ACCOUNT_ID or give --mid MID")
        key = "any" if folder.key is None else folder.key
        try:
            read_request("check", door.mid, {"customer_key": key, "mid": folder.mid})
        except BadRequestError as error:
            raise UnusableError(f"folder {folder.path}: {error}") from None


def _arrival(file: Path | None) -> Arrival | None:
    try:
        return None if file is None else publish.arrival_at(file)
    except OSError as error:
        raise UnusableError(f"file {file} cannot be read: {error.strerror}") from None

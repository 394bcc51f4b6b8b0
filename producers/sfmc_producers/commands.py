"""What the commands `watch` and `start` do: read folders and options, submit, follow, print."""

import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import click

from sfmc_import import logs
from sfmc_import.advice import Command
from sfmc_import.cli.output import print_json, print_line, say_outage, say_unsent
from sfmc_import.cli.progress import with_progress
from sfmc_import.client import SubmitResult, file_at
from sfmc_import.errors import ServiceUnavailableError, noted, require_none
from sfmc_import.events import facts, next_step
from sfmc_import.request import BadRequestError, FileInfo, plain_mid, read_request
from sfmc_import.settings import Settings, load
from sfmc_import.states import AS_EXPECTED, TERMINAL
from sfmc_producers.delivery.progress import WatchFile
from sfmc_producers.delivery.progress import chosen as followed
from sfmc_producers.folder import Folder
from sfmc_producers.ledger import Ledger, Running, open_ledger
from sfmc_producers.listing import shown, why_never_watched
from sfmc_producers.stability import IGNORED_NAMES, LOCAL_SECONDS, NETWORK_SECONDS, StabilityRule
from sfmc_producers.submitter import RoutingRules
from sfmc_producers.watch import watch

_NOT_COMPLETED = {"completed_suspicious": "completed, but not as expected"}


MISSED = "its last events are no longer in the stream; how it stands"


class Printer:
    """Prints to standard output: sentences, or with `as_json` one JSON object a line."""

    def __init__(self, *, as_json: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._as_json, self._clock = as_json, clock

    def show_result(self, result: SubmitResult, customer_key: str, running: Running | None) -> None:
        """Say that the request is recorded, and what does not run or may stand still; None where that is not known."""
        fields = {"request_id": result.request_id, "customer_key": customer_key, "is_new": result.is_new}
        counts = {"workers": running and running.workers, "beats": running and running.beats}
        self._print(fields | counts, f"recorded: request {result.request_id} for {customer_key}")
        for sentence in (*running.missing, *running.late) if running else ():
            print_line(sentence, err=True)

    def follow(self, events: Iterable[Mapping[str, Any]], request_id: str, within: float | None) -> int:
        """Print each event; 0 if the last says that the import completed, else 1 and a closing line that says why."""
        last, begun = "", self._clock()
        for event in with_progress(events, lambda event: str(event["type"]).rpartition(".")[2]):
            last = event["type"].rpartition(".")[2]
            self._print(event, _sentence(last, event))
        if last not in TERMINAL:
            is_over = within is not None and self._clock() - begun >= within
            limit = f"no end within {within:g} s; how it goes on" if is_over else MISSED
            self._close(f"request {request_id}: {limit}: {Command(('show', request_id))}")
            return 1
        ended = "completed" if last in AS_EXPECTED else _NOT_COMPLETED.get(last, "not completed")
        self._close(f"request {request_id}: {ended} ({last})")
        return 0 if last in AS_EXPECTED else 1

    def _print(self, fields: Mapping[str, Any], sentence: str) -> None:
        if self._as_json:
            print_json(fields)
        else:
            print_line(sentence)

    def _close(self, sentence: str) -> None:
        # With JSON standard output has only events; the last line is for a person.
        print_line(sentence, err=self._as_json)


def _sentence(name: str, event: Mapping[str, Any]) -> str:
    return ", ".join([name, *facts(event["data"]), *next_step(event)])


# "/data/eu,key=contacts": a comma starts an option only where a known name follows, so paths may have commas.
_OPTION = re.compile(r",(?=(?:mid|key|pattern|location)=)")


def run_watch(
    given: tuple[str, ...],
    *,
    stable_seconds: float | None,
    scans: int,
    rescan: float,
    hanging_after: float,
    marker: str | None,
    temporary: tuple[str, ...],
    complete: tuple[str, ...],
    empty: Any,
    open_files: Any,
    recursive: bool,
    as_json: bool,
    **usual: str | None,
) -> None:
    """Watch folders until a signal ends it."""
    rule = StabilityRule(
        scans=scans,
        seconds=LOCAL_SECONDS if stable_seconds is None else stable_seconds,
        ignored=IGNORED_NAMES + temporary,
        complete=complete,
        marker=marker or None,
        empty=empty,
        open_files=open_files,
    )
    folders = [read_folder(each, usual, rule, recursive=recursive) for each in given]
    on_network = NETWORK_SECONDS if stable_seconds is None else stable_seconds
    folders = [replace(each, network_seconds=on_network) for each in folders]
    _watch(folders, rescan=rescan, hanging_after=hanging_after, as_json=as_json)


CHECK_SECONDS = 5.0
"""How long a folder may take to be opened at the start; one that takes longer is watched, and reported if it hangs."""


def _watch(folders: list[Folder], *, rescan: float, hanging_after: float, as_json: bool) -> None:
    from sfmc_producers.sources.tables import problems_in  # noqa: PLC0415 - the other commands need it not

    check_folders(folders, min(CHECK_SECONDS, hanging_after))
    settings = load(os.environ, more=problems_in(lambda _: False, {}))
    with open_ledger(settings, confirms_each=False) as client:
        _check_targets(folders, client.mid)
        for folder in folders:
            _check_mid(settings, folder.mid)
        follow, stream = followed(sys.stderr, as_json=as_json or settings.log_format == "json")
        _start_logging(settings, as_json=as_json, stream=stream)
        client.prepare()
        rules = _routing_rules(settings, follow)
        try:
            watch(client, rules, folders, rescan=rescan, hanging_after=hanging_after)
        finally:
            _close_targets(rules)


def run_start(
    *, wait: bool, timeout: float | None, record_only: bool, as_json: bool, file: Path | None, **given: Any
) -> None:
    """Submit one request and, with `wait`, follow it; ends the process with the exit code."""
    printer = Printer(as_json=as_json)
    settings = load(os.environ)
    # For a program it is a record of the log, as all that is not printed.
    with open_ledger(settings, on_unsent=None if as_json else say_unsent) as client:
        if not (given.get("mid") or client.mid or settings.api_url):
            raise click.UsageError("no business unit; set SFMC_ACCOUNT_ID or give --mid MID")
        _check_mid(settings, given.get("mid"))
        _start_logging(settings, as_json=as_json)
        receipt = client.submit(file=_file_info(file), source="command", **given)
        running = _running(client)
        printer.show_result(receipt, given["customer_key"] or given["object_id"], running)
        if wait:
            found = client.follow(receipt.request_id, within=timeout, on_outage=say_outage)
            raise SystemExit(printer.follow(found, receipt.request_id, timeout))
    if running is not None and running.missing and not record_only:
        raise SystemExit(1)


def _running(client: Ledger) -> Running | None:
    """Give what runs; None if this user may not ask: the request is recorded all the same."""
    try:
        return client.running()
    except ServiceUnavailableError:
        return None


def _check_mid(settings: Settings, mid: str | None) -> None:
    if mid is not None and not settings.may_use(plain_mid(mid)):
        raise click.UsageError(
            f"the login of SFMC_USERNAME cannot choose the business unit {mid}; leave --mid out, or use an installed"
            " package (SFMC_CLIENT_ID)"
        )


def _start_logging(settings: Settings, *, as_json: bool, stream: BinaryIO | None = None) -> None:
    form = "json" if as_json else settings.log_format
    logs.configure(level=settings.log_level, form=form, secrets=settings.secrets(), stream=stream)


def _routing_rules(settings: Settings, follow: WatchFile) -> RoutingRules:
    from sfmc_import.bootstrap import open_clock, open_definitions  # noqa: PLC0415 - the SOAP library, only here
    from sfmc_producers.delivery.opening import open_targets, require_keys  # noqa: PLC0415 - as above

    problems: list[str] = []
    targets = open_targets(settings, follow, problems)
    with noted(problems):
        require_keys(settings.routes, targets)
    require_none(problems)
    clock = open_clock()
    return RoutingRules(
        definitions=open_definitions(settings, "watcher", clock),
        routes=settings.routes,
        time_zone=settings.time_zone,
        margin=settings.midnight_margin,
        clock=clock,
        max_age=settings.definition_check_ttl,
        targets=targets,
    )


def _close_targets(rules: RoutingRules) -> None:
    from sfmc_producers.delivery.opening import close_targets  # noqa: PLC0415 - as above

    close_targets(rules.targets)


def read_folder(given: str, usual: Mapping[str, str | None], rule: StabilityRule, *, recursive: bool) -> Folder:
    """Read one DIR with its own options, as in '/data/eu,key=contacts', over the `usual` ones."""
    path, *own = _OPTION.split(given)
    options = dict(usual) | dict(each.split("=", 1) for each in own)
    # abspath, not resolve(): the path a person gave is the identity, also where a link is part of it.
    absolute = Path(os.path.abspath(path))  # noqa: PTH100
    return Folder(
        path=absolute,
        location=options.get("location") or absolute.as_posix(),
        mid=plain_mid(options.get("mid") or "") or None,
        key=options.get("key"),
        pattern=options.get("pattern") or "*",
        recursive=recursive,
        rule=rule,
    )


def check_folders(folders: list[Folder], seconds: float) -> None:
    """Refuse what can never be watched, as far as that is known within so many seconds, and a folder given twice."""
    problems = _never_watched([each.path for each in folders], seconds)
    problems += [
        f"folder {shown(str(each.path))}: its name is no text; give it one of its own, as in DIR,location=NAME"
        for each in folders
        if shown(each.location) != each.location
    ]
    problems += [f"{one.path} and {other.path} are the same folder; give it once" for one, other in _same(folders)]
    places = [each.location for each in folders]
    problems += [
        f"location {each} is given for two folders; give each folder its own location"
        for each in dict.fromkeys(places)
        if places.count(each) > 1
    ]
    if problems:
        raise click.UsageError("; ".join(problems))


def _same(folders: Sequence[Folder]) -> Iterator[tuple[Folder, Folder]]:
    """Yield the pairs that are one folder under two names: each would announce its files as its own."""
    real = [os.path.realpath(each.path) for each in folders]
    for number, folder in enumerate(folders):
        first = real.index(real[number])
        if first != number and folders[first].location != folder.location:
            yield folders[first], folder


def _never_watched(paths: Sequence[Path], seconds: float) -> list[str]:
    problems: list[str | None] = [None] * len(paths)

    def check(number: int) -> None:
        problems[number] = why_never_watched(paths[number])

    # In threads: a folder of a mount that hangs must not stop the others.
    threads = [threading.Thread(target=check, args=(number,), daemon=True) for number in range(len(paths))]
    for each in threads:
        each.start()
    deadline = time.monotonic() + seconds
    for each in threads:
        each.join(max(0.0, deadline - time.monotonic()))
    return [each for each in problems if each is not None]


def _check_targets(folders: list[Folder], default_mid: str) -> None:
    """Check business unit and key of each folder: a wrong one would refuse every file."""
    for folder in folders:
        if not (folder.mid or default_mid):
            raise click.UsageError(f"folder {folder.path}: no business unit; set SFMC_ACCOUNT_ID or give --mid MID")
        key = "any" if folder.key is None else folder.key
        try:
            read_request("check", default_mid, {"customer_key": key, "mid": folder.mid})
        except BadRequestError as error:
            raise click.UsageError(f"folder {folder.path}: {error}") from None


def _file_info(file: Path | None) -> FileInfo | None:
    try:
        return None if file is None else file_at(file)
    except OSError as error:
        raise click.UsageError(f"file {file} cannot be read: {error.strerror}") from None

"""What the commands `scan` and `explain` do: list a source once, or say what a file or an event would start."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable
from zoneinfo import ZoneInfo

import orjson

from sfmc_import import logs
from sfmc_import.access import redis_errors
from sfmc_import.checking import Days
from sfmc_import.cli.output import print_json, print_line, print_lines
from sfmc_import.cli.times import read_since
from sfmc_import.client import file_at
from sfmc_import.display import date_of
from sfmc_import.errors import ServiceUnavailableError, require_none
from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.reading import LedgerReader
from sfmc_import.redis_client import connect
from sfmc_import.request import FileInfo
from sfmc_import.settings import Settings, load
from sfmc_import.settings.policy_file import SourceTable
from sfmc_producers.ledger import require_redis
from sfmc_producers.push.forms import FORMS
from sfmc_producers.push.options import PushOptions
from sfmc_producers.push.posts import NotReadableError, Post, UnusablePostError, readable
from sfmc_producers.sources.arrivals import Arrival, Ignored, Record, Unreadable
from sfmc_producers.sources.commands import Opened, Opening, open_intake, require_listable
from sfmc_producers.sources.explaining import Explaining
from sfmc_producers.sources.folder import FolderSource
from sfmc_producers.sources.kinds import KINDS
from sfmc_producers.sources.not_yet import NotYet, held, not_yet
from sfmc_producers.sources.receiving import SourceUnavailableError
from sfmc_producers.sources.scanning import Counts, Found, Scan, Take, require_confirmed, submit_with
from sfmc_producers.sources.stream import read_event
from sfmc_producers.sources.tables import Options, chosen, problems_in, read_options
from sfmc_producers.stability import StabilityRule

MAX_EVENT_BYTES = 1 << 20


@runtime_checkable
class Reads(Protocol):
    """A source that reads messages."""

    def records(self, body: bytes) -> Sequence[Record]:
        """Read the body of one message."""
        ...


@runtime_checkable
class Waits(Protocol):
    """A source that waits until files are complete."""

    @property
    def rule(self) -> StabilityRule:
        """When they are."""
        ...


# --- scan


def run_scan(name: str, *, since: str | None, dry_run: bool, as_json: bool) -> None:
    """List a source once and submit what has no request yet; with `dry_run` only say it."""
    settings = load(os.environ, more=problems_in(lambda table: table.name == name, KINDS))
    if dry_run:
        require_redis(settings, "scan --dry-run")
    if since is not None:
        # What is wrong in it is said before anything is asked; an age counts from the time of Redis.
        read_since(since, time.time())
    with _opened(settings, name) as (opening, opened), _source_errors(name):
        assert opened is not None
        begin = opening.remembered_since() if since is None else read_since(since, opening.clock.now().timestamp())
        listed = require_listable(opened, "scan")
        take = would_submit(explaining_of(opening, opened)) if dry_run else submit_with(opened.intake, is_only=True)
        scan = Scan(listed, take, begin)
        with redis_errors(settings.redis, "SFMC_REDIS_URL"):
            for found in scan.run():
                _show_found(found, dry_run=dry_run, as_json=as_json)
            if not dry_run:
                require_confirmed(opened.intake)
    _show_counts(scan.counts, begin, dry_run=dry_run, as_json=as_json)
    if scan.counts.waiting:
        raise SystemExit(1)


def would_submit(explaining: Explaining) -> Take:
    """Say what a scan would do with each arrival."""

    def take(arrival: Arrival) -> "Found | Literal['known', 'unmatched']":
        answer = explaining.explain(arrival)
        target, decision = answer.target, answer.decision
        if target is None:
            if decision.what == "unknown":
                raise ServiceUnavailableError(f"{arrival.file.name}: {decision.text}")
            return "unmatched"
        if decision.reason == "refused":
            text = decision.text.removeprefix("refused: ")
            return Found("refused", arrival.file, target.customer_key, target.mid, text=text)
        if decision.what == "duplicate" and decision.reason != "too_soon":
            return "known"
        return Found("new", arrival.file, target.customer_key, target.mid, answer.request_id, decision.text)

    return take


def _show_found(found: Found, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json({**asdict(found), "dry_run": dry_run})
        return
    place = f"{found.file.location}/{found.file.name}"
    request = f"  request {found.request_id}" if found.request_id else ""
    print_line(f"{found.what:<8}{place}  {found.customer_key}{request}{f'  {found.text}' if found.text else ''}")


def _show_counts(counts: Counts, begin: float, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json({"counts": asdict(counts), "since": begin, "dry_run": dry_run})
        return
    new = "would be new" if dry_run else "new"
    print_line(
        f"{counts.seen} files: {counts.new} {new}, {counts.known} known, {counts.unmatched} without a definition,"
        f" {counts.refused} refused, {counts.waiting} waiting, {counts.older} older than {_time(begin)}"
    )
    if counts.unmatched and not dry_run:
        print_line("list those without a definition with: sfmc-import status --unmatched", err=True)


def _time(seconds: float) -> str:
    return date_of(seconds).strftime("%Y-%m-%d %H:%M:%S UTC")


# --- explain


def run_explain(given: str, *, source: str | None, mid: str | None, as_json: bool) -> None:
    """Say what a file or an event would start."""
    settings = load(os.environ, more=problems_in(lambda table: table.name == source, KINDS))
    if settings.api_url:
        _explain_there(settings, given, source, mid, as_json=as_json)
        return
    with _opened(settings, source, "critical") as (opening, opened), redis_errors(settings.redis, "SFMC_REDIS_URL"):
        explaining = explaining_of(opening, opened, mid)
        for record in read_given(given, opened):
            found = explained(explaining, opened, record, _here(given, record))
            _show_explained(found, as_json=as_json)


def _explain_there(settings: Settings, given: str, source: str | None, mid: str | None, *, as_json: bool) -> None:
    from sfmc_import.api_client import ApiClient  # noqa: PLC0415 - httpx, which Redis does not need

    with ApiClient(settings.api_url, settings.api_token.get_secret_value()) as api:
        found = api.explain(**question(given), source=source, mid=mid)
    for each in found:
        _show_explained(each.model_dump(mode="json", exclude_unset=True), as_json=as_json)


def question(given: str) -> dict[str, Any]:
    """Read what a person gave as the API takes it: an `event` in a .json file, or a `file` that need not be here."""
    path = Path(given)
    if given.endswith(".json") and path.is_file():
        body = path.read_bytes()[: MAX_EVENT_BYTES + 1]
        with suppress(orjson.JSONDecodeError):
            event = orjson.loads(body)
            if isinstance(event, dict) and len(body) <= MAX_EVENT_BYTES:
                return {"event": event}
    return {"file": _file(path, given, None).known}


def _here(given: str, record: Record) -> Path | None:
    """Give the file that a person means, if it can be looked at here; an event is none."""
    path = Path(given)
    is_meant = isinstance(record, Arrival) and record.file.name == path.name
    return path if is_meant and path.is_file() else None


def explained(
    explaining: Explaining, opened: Opened | None, record: Record, here: Path | None = None
) -> dict[str, Any]:
    """Explain one record of a source, for programs; `here` is where its file can be looked at.

    Raises LedgerUnavailableError.
    """
    if not isinstance(record, Arrival):
        what, text = ("ignored", record.reason) if isinstance(record, Ignored) else ("set_aside", record.text)
        return {"decision": {"what": what, "text": text}}
    why = _why_ignored(record, opened)
    if why:
        return explaining.ignored(record.file, why).as_dict()
    return held(explaining.explain(record), _not_yet(explaining, opened, record.file, here)).as_dict()


def _not_yet(explaining: Explaining, opened: Opened | None, file: FileInfo, here: Path | None) -> NotYet | None:
    """Say why a source does not take the file yet; one that gets events takes their files at once."""
    if opened is None:
        return not_yet(file, explaining.ledger, source=None, rule=None, here=here)
    source: object = opened.source
    if not isinstance(source, Waits):
        return None
    place = here if isinstance(source, FolderSource) else None
    return not_yet(file, explaining.ledger, source=opened.table.name, rule=source.rule, here=place)


def _why_ignored(record: Arrival, opened: Opened | None) -> str | None:
    """Say why a source, or without one a watcher, never takes a file of this name; an event is none of a watcher."""
    file, names = record.file, (record.event_id, record.customer_key, record.mid)
    if opened is None:
        why = StabilityRule().why_ignored(file.name) if names == (None, None, None) else None
        return why and f"{why}; a watcher takes it only with --complete, and a source with `complete`"
    source: object = opened.source
    if isinstance(source, FolderSource):
        return source.why_ignored(file)
    return source.rule.why_ignored(file.name) if isinstance(source, Waits) else None


def read_given(given: str, opened: Opened | None) -> Sequence[Record]:
    """Read what a person gave: an event in a .json file, a file, or the path of one that is not here."""
    path = Path(given)
    if given.endswith(".json") and path.is_file():
        records = event_records(path.read_bytes()[: MAX_EVENT_BYTES + 1], opened)
        if records is not None:
            return records
    return [Arrival(file=_file(path, given, opened))]


def event_records(body: bytes, opened: Opened | None) -> Sequence[Record] | None:
    """Read an event; None when the file is none, and so a file that arrives."""
    if len(body) > MAX_EVENT_BYTES:
        return None
    source: object = None if opened is None else opened.source
    if opened is not None and isinstance(opened.options, PushOptions):
        return _posted(body, opened.options)
    if isinstance(source, Reads):
        return source.records(body)
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return [read_event(event)] if isinstance(event, dict) and "file" in event else None


def _posted(body: bytes, options: PushOptions) -> Sequence[Record]:
    """Read a body as a sender of a push source would post it: with its form, and headers that say nothing more."""
    form = FORMS[options.form]
    try:
        events = form.split(Post({"content-type": "application/json"}, body))
    except (UnusablePostError, NotReadableError) as error:
        return [Unreadable(str(error))]
    return [readable(form, event, options.place) for event in events]


def _file(path: Path, given: str, opened: Opened | None) -> FileInfo:
    folder = opened.source.folder if opened is not None and isinstance(opened.source, FolderSource) else None
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links and change the identity
    location = None
    if folder is not None:
        inside = absolute.is_relative_to(folder.path)
        within = absolute.relative_to(folder.path).parent.as_posix() if inside else "."
        location = folder.location if within == "." else f"{folder.location}/{within}"
    if path.is_file():
        return file_at(path, location)
    before, _, name = given.rpartition("/")
    return FileInfo(location=before if location is None else location, name=name or given)


def _show_explained(found: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    print_lines(explained_lines(found))


def explained_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Give what a person reads of an explanation."""
    file, decision = found.get("file"), found["decision"]
    if file is None:
        what = "ignored" if decision["what"] == "ignored" else "set aside as a dead letter"
        yield f"{what}: {decision['text']}"
        return
    size = f"{file['size']} bytes" if "size" in file else "not here: by its name alone"
    yield f"{file['name']}  of {file.get('location') or 'no location'} ({size})"
    for each in found["rules"]:
        yield f"  {'yes' if each['matched'] else 'no':<12}{each['rule']}{': ' + each['why'] if each['why'] else ''}"
    if (target := found.get("target")) is not None:
        yield f"  {'definition':<12}{target['customer_key']} of business unit {target['mid']}"
        if (deliver := target.get("deliver")) is not None:
            yield f"  {'delivered':<12}to {deliver['target']} as {deliver['name']}"
    if found.get("group") is not None:
        yield f"  {'group':<12}{found['group']}: only so many of its imports run at once"
    if found.get("request_id") is not None:
        yield f"  {'request':<12}{found['request_id']}"
    yield f"  {'decision':<12}{decision['text']}"


# --- both


@contextmanager
def _opened(settings: Settings, name: str | None, least: str = "warning") -> Iterator[tuple[Opening, Opened | None]]:
    """Open a source, or none; its log lines below a level would stand between the lines of the command."""
    level = "debug" if settings.log_level == "debug" else least
    logs.configure(level=level, form=settings.log_format, secrets=settings.secrets())
    with ExitStack() as stack:
        opening = Opening(settings, stack)
        if name is None:
            require_none(opening.problems)
            yield opening, None
            return
        [table] = chosen(settings, [name])
        [(kind, options)] = read_options([table], KINDS)
        yield opening, opening.open(table, kind, options)


@contextmanager
def _source_errors(name: str) -> Iterator[None]:
    try:
        yield
    except SourceUnavailableError as error:
        raise ServiceUnavailableError(
            f"source {name}: {error}", "run the command again: nothing comes twice"
        ) from error


def explaining_of(opening: Opening, opened: Opened | None, mid: str | None = None) -> Explaining:
    """Make what explains: for a source, or with the rules that are for all."""
    settings, definitions = opening.settings, opening.definitions
    options = opened.options if opened is not None else Options.model_validate({"mid": mid} if mid else {})
    intake = (
        opened.intake
        if opened is not None
        else open_intake(
            SourceTable("explain", "", {}, ""),
            options,
            settings,
            opening.client,
            definitions,
            opening.heard,
            clock=opening.clock,
        )
    )
    return Explaining(
        intake=intake,
        ledger=LedgerReader(connect(settings.redis), Keys(settings.prefix)),
        definitions=definitions.get,
        policies=settings.policy,
        days=Days(zone=ZoneInfo(settings.time_zone), margin=settings.midnight_margin),
        own=tuple(each.as_route() for each in options.route),
    )

"""`sfmc-import status`: shows the state of the system, of a definition, or the files that start nothing."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import click

from sfmc_import.cli.completing import complete_key
from sfmc_import.cli.folder_lines import alarm_lines, folder_lines, old_lines
from sfmc_import.cli.notification_lines import failing_lines
from sfmc_import.cli.opening import given_mid, open_operations
from sfmc_import.cli.output import Line, examples, json_option, print_json, print_lines, seconds
from sfmc_import.cli.request_lists import WORDS, print_list
from sfmc_import.cli.requests_shown import (
    lines_in_line,
    pause_line,
    short_attempt_lines,
    short_deadline_lines,
    short_error_lines,
    table_lines,
    until_text,
)
from sfmc_import.cli.unmatched import MOST, unmatched_lines
from sfmc_import.display import Coloured
from sfmc_import.errors import FAILURE
from sfmc_import.events import line
from sfmc_import.operations import broker, loss_lines, servers
from sfmc_import.operations.business_units import are_several
from sfmc_import.operations.fixing import COMMANDS
from sfmc_import.operations.protocol import Operations
from sfmc_import.operations.queued import queued_text
from sfmc_import.operations.status import StandingView, StatusView
from sfmc_import.operations.troubles import TroubleView
from sfmc_import.operations.views import RequestView, View

WAS_SEEN = "was seen"
"""Stands in the sentence about a missing process that has run before."""

COUNTS = ("unfinished", "overdue", "events", "queued", "in_flight", "dead_letters", "workers", "beats")


@click.command(
    epilog=examples("sfmc-import status", "sfmc-import status Daily_Orders", "sfmc-import status --failures")
)
@click.argument("customer_key", metavar="[KEY]", required=False, shell_complete=complete_key)
@click.option("--failures", "listed", flag_value="failures", help="List all that ended badly and is not settled.")
@click.option("--unfinished", "listed", flag_value="unfinished", help="List all that has not ended, due next first.")
@click.option(
    "--unmatched",
    "listed",
    flag_value="unmatched",
    help="Show files that start nothing: no or several definitions match.",
)
@click.option(
    "--mid", metavar="MID", help="MID of the business unit.  [default: SFMC_ACCOUNT_ID for KEY alone, else all]"
)
@click.option(
    "-n",
    "--last",
    type=click.IntRange(min=0, max=MOST),
    default=10,
    show_default=True,
    help="How many events of the definition, or unmatched files, to show.",
)
@json_option
def status(customer_key: str | None, *, listed: str | None, mid: str | None, last: int, as_json: bool) -> None:
    """Show the state of the system, or of one definition (KEY); of one request: `sfmc-import show`.

    For the system: numbers, what is paused, the newest requests that ended badly, imports of the last day
    that somebody should look at, those that are due next with why they wait and until when, and what the folder
    watchers say: which files wait, why and since when, and which folders cannot be read now.
    --failures and --unfinished list all of them, or with KEY those of a definition.

    For a definition: the request that holds it, how long its window is closed (no start until then), the
    follow-ups that wait behind it, how many requests no worker has taken yet, and the last events.

    --unmatched lists files that watchers and sources saw and that start nothing: each file once, as long as its event
    is among the newest 50,000. One that became a request later is left out.

    Exit code: 0, or 1 if the definition or the business unit is not known, or Redis does not answer, or, for the
    system, if Redis has lost writes (for the 15 minutes or so in which starts are careful) or takes none, a folder or
    source is in trouble, or requests are unfinished and no worker or no beat runs.
    """
    with open_operations() as operations:
        if listed in WORDS:
            print_list(operations, str(listed), customer_key, mid, as_json=as_json)
            return
        found, lines = _answer(operations, customer_key, mid, last, unmatched=listed is not None)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        print_lines(lines)
    if isinstance(found, StatusView) and _needs_somebody(found):
        raise SystemExit(FAILURE)


def _needs_somebody(whole: StatusView) -> bool:
    """Tell whether something is a failure of `doctor` that stays until a person acts, or that keeps files waiting."""
    is_lost = any(each.is_alarm for each in whole.losses)
    is_at_rest = bool(whole.missing) and bool(whole.queued or whole.unfinished)
    return is_lost or is_at_rest or bool(whole.servers) or any(each.is_trouble for each in whole.folders)


def _answer(
    operations: Operations, key: str | None, mid: str | None, last: int, *, unmatched: bool
) -> tuple[View, Sequence[Line]]:
    if unmatched:
        files = operations.unmatched(last, mid)
        if files.hint:
            raise click.ClickException(files.hint)
        return files, unmatched_lines(files)
    if key is not None:
        standing = operations.standing(key, given_mid(mid), last)
        return standing, [*standing_lines(standing, operations.now())]
    if mid is not None:
        raise click.UsageError("--mid goes with KEY, --failures, --unfinished or --unmatched")
    whole = operations.status()
    return whole, [*whole_lines(whole)]


# --- one definition


def standing_lines(standing: StandingView, now: float) -> Iterator[Line]:
    """Give what a person reads about a definition at a time (seconds since 1970)."""
    yield f"{standing.customer_key} of business unit {standing.mid}"
    yield from (f"  {missing}" for missing in standing.missing)
    yield from (f"  {trouble_line(each, now)}" for each in standing.troubles)
    yield f"  held_by  {_holder(standing)}"
    if (held := standing.holder_waiting) is not None:
        yield f"           {held.reason}{until_text(held.until, now)}"
        if held.last_error is not None:
            yield from (f"       {text}" for text in short_error_lines(held.last_error, now))
        yield from (f"       {text}" for text in short_deadline_lines(held, now))
    yield from (f"  {text}" for text in short_attempt_lines(standing.holder_attempting, now))
    if standing.holder_worker is not None:
        yield f"           {standing.holder_worker.text}"
    if standing.holder_advice is not None:
        yield f"           to do: {standing.holder_advice}"
    if standing.pause is not None:
        yield f"  {pause_line(standing.pause, now)}"
    yield f"  window   {window_text(standing.window_left, standing.window_by, standing.consecutive_errors)}"
    yield from _waiting_lines(standing.waiting, now)
    yield f"  queued   {queued_text(standing.queued, standing.queued_unseen)}"
    yield from ([Coloured("  "), *line(event)] for event in reversed(standing.recent))


def _holder(standing: StandingView) -> str:
    if standing.holder is None:
        return "-"
    task = f", Task.ID {standing.holder_task_id}" if standing.holder_task_id else ""
    lease = f", lease for {seconds(standing.lease_left)}" if standing.lease_left else ""
    return f"request {standing.holder}: {standing.holder_state or 'no longer recorded'}{task}{lease}"


def window_text(left: float, by: str | None, errors: int) -> str:
    """Say how long the window is closed, by which request, and how many imports in a row ended in Error."""
    after = f", after {errors} {'import' if errors == 1 else 'imports in a row'} that ended in Error" if errors else ""
    return f"closed for {seconds(left)}, by request {by}{after}" if left else f"open{after}"


def _waiting_lines(waiting: Sequence[RequestView], now: float) -> Iterator[str]:
    yield f"  behind   {len(waiting)}"
    for each in waiting:
        yield f"    {'without a file' if each.file is None else each.file.name}, request {each.request_id}"
        yield from (f"  {text}" for text in lines_in_line(each, now))


# --- the whole


def whole_lines(whole: StatusView) -> Iterator[Line]:
    """Give what a person reads about the system: what ended badly first, then what comes next."""
    now = whole.now.timestamp()
    yield whole.redis
    yield from (f"  {name.replace('_', ' '):<14}{_number(getattr(whole, name))}" for name in COUNTS)
    if whole.broker is not None:
        yield f"  {broker.sentence(whole.broker)}"
    if whole.dead_letters:
        yield "  list them with: sfmc-import dead-letters"
    yield from (f"  {servers.sentence(each)}; to do: {each.fix}" for each in whole.servers)
    yield from (f"  {loss_lines.line(each)}" for each in whole.losses)
    yield from (f"  {missing}" for missing in missing_processes(whole))
    yield from (f"  {line}" for line in alarm_lines(whole.folders))
    yield from (f"  {line}" for line in old_lines(whole.old_definitions))
    yield from (f"  {trouble_line(each, now)}" for each in whole.troubles)
    yield from (f"  {each.text}; to do: {each.advice}" for each in whole.clocks)
    yield from (f"  {line}" for line in failing_lines(whole.notifications, now))
    yield from (f"  {pause_line(each, now)}" for each in whole.paused)
    with_mid, advised = are_several(whole.failures, whole.warnings, whole.next), Advised(whole.troubles)
    yield from advised.once(_listed("ended badly", whole.failures, now, with_mid=with_mid))
    yield from _left_out("failures", whole.failed - len(whole.failures))
    yield from advised.once(_listed("to be looked at", whole.warnings, now, with_mid=with_mid))
    yield from advised.once(_listed("due next", whole.next, now, with_mid=with_mid))
    yield from _left_out("unfinished", whole.unfinished - len(whole.next))
    yield from folder_lines(whole.folders)


class Advised:
    """What was advised already in this output: the advice of one cause is printed once, not for each request."""

    BEGIN = "    to do: "

    def __init__(self, troubles: Sequence[TroubleView]) -> None:
        self._given = {_fix(each.advice.removeprefix("To do: ")) for each in troubles}

    def once(self, lines: Iterator[Line]) -> Iterator[Line]:
        """Give the lines; an advice that stands above is not printed anew."""
        for each in lines:
            is_advice = isinstance(each, str) and each.startswith(self.BEGIN)
            fix = _fix(str(each).removeprefix(self.BEGIN)) if is_advice else ""
            yield f"{self.BEGIN}as said above" if is_advice and fix in self._given else each
            self._given |= {fix} if is_advice else set()


def _fix(advice: str) -> str:
    """Give what is to be done, without what happens by itself after that."""
    return advice.partition("; it goes on by itself")[0].partition(". Requests go on by themselves")[0]


def _number(found: int | None) -> str:
    return "not known" if found is None else str(found)


def missing_processes(whole: StatusView) -> Iterator[str]:
    """Say which process must be started: for what waits, and where one has run before."""
    if whole.queued or whole.unfinished:
        yield from whole.missing
    else:
        yield from (each for each in whole.missing if WAS_SEEN in each)


def trouble_line(trouble: TroubleView, now: float) -> str:
    """Say since when, and why, nothing works in a business unit."""
    since = "" if trouble.since is None else f" for {seconds(max(0.0, now - trouble.since.timestamp()))}"
    runs = f" {trouble.runs} run{'' if trouble.runs == 1 else 's'}" if trouble.runs else ""
    said = f"{trouble.about}: {trouble.reason}{runs}{since} (code {', '.join(trouble.codes) or '-'})"
    commands = "".join(f" See: {COMMANDS[code]}" for code in trouble.codes if code in COMMANDS)
    affected = f" {trouble.affected}" if trouble.affected else ""
    tried = trouble.next_try(datetime.fromtimestamp(now, UTC))
    return f"{said}: {trouble.text}{tried} {trouble.advice}{commands}{affected}"


def _listed(title: str, found: Sequence[RequestView], now: float, *, with_mid: bool) -> Iterator[str]:
    if found:
        yield f"{title}:"
    for each in found:
        yield from table_lines(each, now, with_mid=with_mid)


def _left_out(name: str, count: int) -> Iterator[str]:
    if count > 0:
        yield f"  and {count} more: sfmc-import status --{name}"

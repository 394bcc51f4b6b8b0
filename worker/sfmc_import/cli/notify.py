"""`sfmc-import notify`: tells people and programs what happened, as the [[notify]] of the policy file say."""

import base64
import os
import secrets
import signal
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import click
import structlog

from sfmc_import import logs
from sfmc_import.access import ReadAccess, unused_api
from sfmc_import.cli.notification_lines import numbers_line
from sfmc_import.cli.output import examples, json_option, print_json, print_line, seconds
from sfmc_import.errors import FAILURE
from sfmc_import.notifications import messages
from sfmc_import.notifications.memory import NotifierMemory
from sfmc_import.notifications.opening import chosen, open_senders
from sfmc_import.notifications.running import run_notifications
from sfmc_import.notifications.sending import NotSent, Sent
from sfmc_import.notifications.webhook import PREFIX
from sfmc_import.operations.notified import NotificationView, notifications
from sfmc_import.redis_client import connect
from sfmc_import.settings import load

log = structlog.get_logger("sfmc_import.notifications")


@click.group(
    "notify",
    epilog=examples("sfmc-import notify test ops", "sfmc-import notify run"),
    short_help="Tell people and programs what happened.",
)
def notify_group() -> None:
    """Tell people and programs what happened: by webhook, Slack, Teams or mail.

    Each [[notify]] of the policy file says who is notified of which events. `run` sends; at least one must run.
    """


@notify_group.command(short_help="Send what happens, until SIGTERM.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@json_option
def run(names: tuple[str, ...], *, as_json: bool) -> None:
    """Send what happens from now on to these notifications, or to all.

    Each event is sent at least once, and tried again while the other side fails, until `deadline`; then it is set
    aside: `notify list` counts it, `notify replay` sends it again. Any number of notifiers may run. Logs go to standard
    error.

    Exit code: 0 stopped by SIGTERM, 130 Ctrl-C, 2 usage or settings error.
    """
    settings = load(os.environ)
    note, tables = unused_api(settings, "notify"), chosen(settings, names)
    senders = open_senders(settings, tables)
    form = "json" if as_json else settings.log_format
    logs.configure(level=settings.log_level, form=form, secrets=settings.secrets())
    if note:
        log.warning("api_url_not_used", detail=note)
    if signal.SIGINT in run_notifications(settings, tables, senders):
        raise KeyboardInterrupt


@notify_group.command(short_help="Send a test message, and say what came back.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@json_option
def test(names: tuple[str, ...], *, as_json: bool) -> None:
    """Send a test message to these notifications, or to all, once, and print what the other side said.

    Exit code: 0 all were taken, 1 one was not, 2 usage or settings error.
    """
    settings = load(os.environ)
    failed = False
    for name, sender in open_senders(settings, chosen(settings, names)).items():
        answer = sender.send(messages.of_test(name, uuid4().hex, datetime.now(UTC)))
        is_sent, text = _outcome(answer)
        failed |= not is_sent
        if as_json:
            print_json({"name": name, "sent": is_sent, "text": text})
        else:
            print_line(f"{name}: {'sent' if is_sent else 'NOT SENT'}: {text}")
    raise SystemExit(FAILURE if failed else 0)


def _outcome(answer: Sent | NotSent) -> tuple[bool, str]:
    """Tell whether everybody gets it, and what the other side said."""
    if isinstance(answer, NotSent):
        return False, answer.text
    return not answer.refused, f"{answer.text}, {answer.refused}" if answer.refused else answer.text


@notify_group.command("list", short_help="List the notifications: what, whether it is sent, what failed last.")
@json_option
def list_all(*, as_json: bool) -> None:
    """List the notifications of the policy file; no address and no secret is shown.

    Of each: whether a notifier runs, how many events are not handled yet, what failed last and how often, and how many
    events were set aside.
    """
    settings = load(os.environ)
    tables = chosen(settings, ())
    access = ReadAccess(settings)
    now = access.reader.now()
    for view in notifications(access):
        table = tables[view.name]
        if as_json:
            row = {"name": view.name, "kind": view.kind, "events": table.events, "keys": table.keys}
            print_json(row | {"notifier_seen_seconds_ago": view.seen_seconds_ago} | _numbers(view))
            continue
        seen = view.seen_seconds_ago
        print_line(f"{view.name}  {view.kind}")
        print_line(f"  {'no notifier runs' if seen is None else f'a notifier was seen {seconds(seen)} ago'}")
        print_line(f"  {numbers_line(view, now)}")
        print_line(f"  events: {', '.join(table.events)}")
        print_line(f"  keys: {', '.join(table.keys)}")


def _numbers(view: NotificationView) -> dict[str, Any]:
    numbers = {"backlog", "set_aside", "attempts", "error", "error_at", "failing_since"}
    return view.model_dump(mode="json", include=numbers)


@notify_group.command(short_help="Send again what was set aside.")
@click.argument("name")
@click.option("--drop", is_flag=True, help="Delete it instead.")
def replay(name: str, *, drop: bool) -> None:
    """Send what a notification has set aside, each event alone and once; what is not taken stays.

    Exit code: 0 nothing is left, 1 something was not taken, 2 usage or settings error.
    """
    settings = load(os.environ)
    table = chosen(settings, (name,))[name]
    sender = open_senders(settings, {name: table})[name]
    done = left = 0
    with connect(settings.redis) as client:
        memory = NotifierMemory(client, settings.redis, settings.prefix, name)
        for place, event, _ in memory.aside():
            answer = None if drop else sender.send(messages.of_events([event], 1))
            is_sent, text = (True, "") if answer is None else _outcome(answer)
            if not is_sent:
                left += 1
                print_line(f"{event.id}: NOT SENT: {text}")
                continue
            memory.remove_aside(place)
            done += 1
    print_line(f"{'deleted' if drop else 'sent'}: {done}; left: {left}")
    raise SystemExit(FAILURE if left else 0)


@notify_group.command(short_help="Make a secret for a signed webhook and print it.")
def secret() -> None:
    """Make a secret (whsec_…) and print it: give it to the receiver, and as SFMC_NOTIFY_NAME_SECRET to the notifier."""
    # Printed past the masks: this is the one time that it is shown.
    click.echo(PREFIX + base64.b64encode(secrets.token_bytes(32)).decode())

"""Puts a notification together from its lines and its secrets; everything that is missing is said at once."""

from collections.abc import Callable, Mapping

from sfmc_import.errors import SettingsError
from sfmc_import.notifications.chat import Slack, Teams
from sfmc_import.notifications.mail import PORTS, Mail, Mailbox
from sfmc_import.notifications.posting import Poster
from sfmc_import.notifications.sending import Sender
from sfmc_import.notifications.webhook import Webhook, read_key
from sfmc_import.redaction import KNOWN
from sfmc_import.settings import Settings
from sfmc_import.settings.notify_table import (
    MailTable,
    NotifyTable,
    SlackTable,
    TeamsTable,
    WebhookTable,
    check_post_url,
)


def chosen(settings: Settings, names: tuple[str, ...]) -> Mapping[str, NotifyTable]:
    """Give the lines of these notifications, or of all; raises SettingsError."""
    known = settings.notifications
    if not known:
        raise SettingsError(["there is no [[notify]] in the policy file (SFMC_CONFIG, or sfmc-import.toml): add one"])
    if missing := [name for name in names if name not in known]:
        raise SettingsError([f"notify {name}: the policy file has only {', '.join(known)}" for name in missing])
    return {name: known[name] for name in names or known}


def open_senders(settings: Settings, tables: Mapping[str, NotifyTable]) -> dict[str, Sender]:
    """Open these; nothing connects. Raises SettingsError with a line for everything that is missing."""
    problems: list[str] = []
    found: dict[str, Sender] = {}
    for name, table in tables.items():
        try:
            found[name] = open_sender(name, table, settings)
        except SettingsError as error:
            problems += error.problems
    if problems:
        raise SettingsError(problems)
    return found


def open_sender(name: str, table: NotifyTable, settings: Settings) -> Sender:
    """Open one."""
    if isinstance(table, MailTable):
        return Mail(_mailbox(name, table, settings), table.timeout, _verify(settings))
    assert isinstance(table, WebhookTable | SlackTable | TeamsTable)
    url = _secret(settings, name, "url") or table.url or ""
    poster = Poster(_checked_url(name, url), table.timeout, _verify(settings), settings.proxies)
    if isinstance(table, WebhookTable):
        return Webhook(poster, _keys(name, _secret(settings, name, "secret")))
    # These addresses are secrets: who knows one can post.
    KNOWN.learn(url)
    return _CHATS[type(table)](poster)


_CHATS: Mapping[type[NotifyTable], Callable[[Poster], Sender]] = {SlackTable: Slack, TeamsTable: Teams}


def variable(name: str, what: str) -> str:
    """Give the name of a secret of a notification."""
    return f"SFMC_NOTIFY_{name.upper().replace('-', '_')}_{what.upper()}"


def _secret(settings: Settings, name: str, what: str) -> str:
    found = settings.notify_secret(name, what)
    return found.get_secret_value().strip() if found else ""


def _checked_url(name: str, url: str) -> str:
    if not url:
        raise SettingsError([f"{variable(name, 'url')}: missing; give it as a secret, or the line url"])
    try:
        return check_post_url(url)
    except ValueError as error:
        raise SettingsError([f"{variable(name, 'url')}: {error}; expected: https://…"]) from None


def _keys(name: str, secrets: str) -> list[bytes]:
    """Read the secrets of a webhook, written with blanks or line ends between them."""
    where = variable(name, "secret")
    if not secrets:
        raise SettingsError([f"{where}: missing; make one with: sfmc-import notify secret"])
    KNOWN.learn(*secrets.split())
    try:
        return [read_key(each) for each in secrets.split()]
    except ValueError as error:
        raise SettingsError([f"{where}: {error}; make one with: sfmc-import notify secret"]) from None


def _mailbox(name: str, table: MailTable, settings: Settings) -> Mailbox:
    password = _secret(settings, name, "password")
    if table.username and not password:
        raise SettingsError([f"{variable(name, 'password')}: missing; give the password of {table.username}"])
    return Mailbox(
        host=table.host,
        port=table.port or PORTS[table.security],
        security=table.security,
        sender=table.sender,
        to=table.to,
        username=table.username or "",
        password=password,
    )


def _verify(settings: Settings) -> bool | str:
    return str(settings.ca_bundle) if settings.ca_bundle else True

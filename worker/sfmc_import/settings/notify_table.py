"""The lines of a [[notify]]: who is notified of which events, and how; checked with the settings."""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from sfmc_import.settings.values import Seconds, read_duration
from sfmc_import.states import REPORTS, TRANSITIONS

WORTH_KNOWING = (
    "start_unknown",
    "rejected",
    "gave_up",
    "expired",
    "import_failed",
    "follow_timed_out",
    "completed_suspicious",
    "completed_with_errors",
    "message_rejected",
    "unrouted",
    "ambiguous_route",
)
"""The events that a person should know of, unless the lines say otherwise."""

_ADDRESS = re.compile(r"[^\s@<>,;:\"\x00-\x1f\x7f-\x9f]{1,64}@[^\s@<>,;:\"\x00-\x1f\x7f-\x9f]{1,255}")


def check_post_url(value: str) -> str:
    """Accept http and https addresses without a login; what is behind it is the operator's own choice."""
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
        raise ValueError("not an address such as https://host/path")
    if parts.username is not None or parts.password is not None:
        raise ValueError("contains a login, which is not sent")
    if not value.isascii() or not value.isprintable() or " " in value or len(value) > 4096:
        raise ValueError("has characters that an address cannot have, or more than 4096")
    return value


def check_address(value: str) -> str:
    """Accept what can stand in a header of a mail."""
    if not _ADDRESS.fullmatch(value):
        raise ValueError("not an address such as ops@example.com")
    return value


def _one_or_more(value: object) -> object:
    return [value] if isinstance(value, str) else value


EVENT_NAMES = tuple(dict.fromkeys((*(each.event for each in TRANSITIONS), *REPORTS)))


def check_event(value: str) -> str:
    """Accept what stands for an event that there is: another one would be silent for ever."""
    if not any(fnmatchcase(name, value) for name in EVENT_NAMES):
        raise ValueError(f"no event has this name; there are: {', '.join(EVENT_NAMES)}")
    return value


Glob = Annotated[str, Field(min_length=1, max_length=100)]
Globs = Annotated[tuple[Glob, ...], BeforeValidator(_one_or_more), Field(min_length=1, max_length=100)]
EventGlobs = Annotated[
    tuple[Annotated[Glob, AfterValidator(check_event)], ...],
    BeforeValidator(_one_or_more),
    Field(min_length=1, max_length=100),
]
PostUrl = Annotated[str, AfterValidator(check_post_url)]
MailAddress = Annotated[str, AfterValidator(check_address)]
Pause = Annotated[float, BeforeValidator(read_duration), Field(ge=0, le=3600, allow_inf_nan=False)]


class NotifyTable(BaseModel):
    """What every [[notify]] has; the kinds have more."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    events: EventGlobs = Field(
        WORTH_KNOWING, description='names of events without sfmc.import., with * and ?, such as ["operator.*"]'
    )
    keys: Globs = Field(("*",), description='CustomerKeys, with * and ?, such as ["Orders_*"]')
    digest_seconds: Pause | None = Field(
        None, description='a time up to "1h": events of so long are sent together; 0 sends each event alone'
    )
    max_events: int = Field(20, ge=1, le=100, description="1 to 100: how many events one message shows")
    outages: bool = Field(True, description="true or false: one message when nothing works, one when it works again")
    timeout: Annotated[Seconds, Field(ge=1, le=60)] = Field(
        15.0, description='a time from "1s" to "1m": how long one message may take'
    )
    deadline: Seconds = Field(86_400.0, description='a time such as "24h": how old an event may be that is tried again')
    claim_after: Annotated[Seconds, Field(ge=1, le=3600)] = Field(
        60.0, description='a time such as "1m": after it another notifier takes over what one holds that is gone'
    )

    @model_validator(mode="after")
    def _is_held_long_enough(self) -> Self:
        if self.claim_after <= self.timeout:
            raise ValueError("claim_after must be longer than timeout, or another notifier sends the same meanwhile")
        return self

    @property
    def digest(self) -> float:
        """Seconds for which events are collected."""
        return (0.0 if isinstance(self, WebhookTable) else 30.0) if self.digest_seconds is None else self.digest_seconds


class WebhookTable(NotifyTable):
    """A signed POST, as Standard Webhooks says."""

    url: PostUrl | None = Field(None, description="the address; without it SFMC_NOTIFY_NAME_URL")


class SlackTable(NotifyTable):
    """An incoming webhook of Slack."""

    url: PostUrl | None = Field(
        None, repr=False, description="the address of the incoming webhook; best as the secret SFMC_NOTIFY_NAME_URL"
    )


class TeamsTable(NotifyTable):
    """A workflow of Teams that posts a card."""

    url: PostUrl | None = Field(
        None, repr=False, description="the address of the workflow; best as the secret SFMC_NOTIFY_NAME_URL"
    )


class MailTable(NotifyTable):
    """A mail by SMTP."""

    host: str = Field(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9._:-]+$", description="the SMTP server")
    port: int | None = Field(None, ge=1, le=65535, description="its port; without it 587, 465 for tls, 25 for none")
    security: Literal["starttls", "tls", "none"] = Field("starttls", description="starttls, tls or none")
    username: str | None = Field(
        None,
        min_length=1,
        max_length=255,
        description="the login; its password is the secret SFMC_NOTIFY_NAME_PASSWORD",
    )
    sender: MailAddress = Field(description="the address that the mail is from")
    to: Annotated[tuple[MailAddress, ...], BeforeValidator(_one_or_more), Field(min_length=1, max_length=50)] = Field(
        description="an address, or a list of them"
    )

    @model_validator(mode="after")
    def _keeps_its_password(self) -> Self:
        if self.username is not None and self.security == "none":
            raise ValueError("username without TLS would show the password to the network; use starttls or tls")
        return self


KINDS: Mapping[str, type[NotifyTable]] = {
    "webhook": WebhookTable,
    "slack": SlackTable,
    "teams": TeamsTable,
    "mail": MailTable,
}

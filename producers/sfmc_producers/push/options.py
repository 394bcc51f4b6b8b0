"""The lines of a [[source]] of kind `push`; its requests are taken by `sfmc-import serve`."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from sfmc_import.settings.values import Seconds
from sfmc_producers.contents.tables import DESCRIPTION, AzureContent, ReadContent, SftpContent, not_listed
from sfmc_producers.push.posts import Place
from sfmc_producers.push.sns import TOPIC
from sfmc_producers.push.source import open_push
from sfmc_producers.sources.tables import Kind, Options

MEBIBYTE = 1_048_576
GOOGLE_KEYS = "https://www.googleapis.com/oauth2/v3/certs"
AZURE = "eventgrid.azure.net"
_HEADER = re.compile(r"[A-Za-z0-9-]{1,100}")
_ORIGIN = re.compile(r"[a-z0-9.-]{1,253}")


def check_topic(value: str) -> str:
    """Accept the ARN of a topic: its region says which host is believed."""
    if TOPIC.fullmatch(value) is None:
        raise ValueError("not the ARN of a topic, such as arn:aws:sns:eu-central-1:111122223333:drop")
    return value


def check_keys(value: str) -> str:
    """Accept an https address, or a file that is there."""
    parts = urlsplit(value)
    if parts.scheme and parts.netloc:
        if parts.scheme != "https" or not parts.hostname or parts.username is not None:
            raise ValueError("not an https address without a login")
        return value
    if not Path(value).is_file():
        raise ValueError("there is no such file")
    return value


def check_header(value: str) -> str:
    """Accept the name of a header, in any case."""
    if _HEADER.fullmatch(value) is None:
        raise ValueError("not the name of a header")
    return value.lower()


def check_origin(value: str) -> str:
    """Accept the name of a host, in any case."""
    if _ORIGIN.fullmatch(value.lower()) is None:
        raise ValueError("not the name of a host")
    return value.lower()


Topic = Annotated[str, AfterValidator(check_topic)]
Keys = Annotated[str, AfterValidator(check_keys)]
Header = Annotated[str, AfterValidator(check_header)]
Origin = Annotated[str, AfterValidator(check_origin)]


class PushOptions(Options):
    """The lines of a [[source]] of kind `push`."""

    form: Literal["auto", "cloudevents", "event-grid", "pubsub", "s3-webhook", "sftpgo", "sns"] = Field(
        description="auto, cloudevents, event-grid, pubsub, s3-webhook, sftpgo or sns"
    )
    auth: Literal["standard-webhooks", "hmac", "bearer", "google-oidc", "none"] | None = Field(
        None, description="standard-webhooks, hmac, bearer, google-oidc or none"
    )
    header: Header = Field("x-hub-signature-256", description="with hmac: the header that has the signature")
    prefix: str = Field("sha256=", max_length=32, description="with hmac: what stands before the hex digits")
    tolerance: Annotated[Seconds, Field(le=3600)] = Field(
        300.0, description="with standard-webhooks: how old a signature may be, up to 1h"
    )
    token_in: Literal["header", "query"] = Field("header", description="with bearer: header, or query to allow both")
    audience: str | None = Field(None, min_length=1, description="with google-oidc: the audience of the subscription")
    email: str | None = Field(None, min_length=3, description="with google-oidc: the service account of the sender")
    keys: Keys = Field(GOOGLE_KEYS, description="with google-oidc: https address or file of the keys (JWKS)")
    topics: tuple[Topic, ...] = Field((), description="with sns: the ARNs of the topics")
    origins: tuple[Origin, ...] = Field(
        (), description="who may ask by OPTIONS whether events are wanted; with event-grid also eventgrid.azure.net"
    )
    hierarchical: bool = Field(
        False, description="with Azure: true for an account with hierarchical namespace, which tells when a copy begins"
    )
    location: str = Field("", max_length=512, description="with sftpgo: where its files are, as sftp://HOST:PORT")
    max_body: int = Field(4 * MEBIBYTE, ge=1, le=64 * MEBIBYTE, description="bytes of a body as it is sent")
    max_unpacked: int = Field(16 * MEBIBYTE, ge=1, le=256 * MEBIBYTE, description="bytes of a body that is unpacked")
    max_events: int = Field(10_000, ge=1, le=100_000, description="events of a body")
    body_deadline: Annotated[Seconds, Field(le=300)] = Field(
        10.0, description="seconds in which the whole body must arrive"
    )

    content: ReadContent | None = Field(None, repr=False, description=DESCRIPTION)
    claim_after: Seconds = Field(
        60.0, ge=1, description="with [source.content]: seconds after which the events of a silent producer are claimed"
    )
    max_deliveries: int = Field(
        10, ge=2, le=1000, description="with [source.content]: how often an event is taken up before it is set aside"
    )

    @property
    def place(self) -> Place:
        """What reading an event takes of these lines."""
        content = self.content
        location = content.server if isinstance(content, SftpContent) else ""
        hierarchical = isinstance(content, AzureContent) and content.hierarchical
        return Place(self.location or location, self.hierarchical or hierarchical)

    @property
    def is_served(self) -> bool:
        """Whether `sfmc-import serve` alone takes what is posted: it reads no files."""
        return self.content is None

    @property
    def not_listed(self) -> str | None:
        """Why it cannot be listed."""
        return not_listed("push", self.content)

    @property
    def allowed_origins(self) -> frozenset[str]:
        """Who may ask by OPTIONS."""
        return frozenset(self.origins) | ({AZURE} if self.form == "event-grid" else set())

    @classmethod
    def broken_rules(cls, lines: Mapping[str, Any]) -> list[str]:
        """Say whether it is not said who may post."""
        form, auth = lines.get("form"), lines.get("auth")
        if form == "sns":
            is_wrong = auth is not None or not lines.get("topics")
            return ["form sns: give topics, and no auth: SNS signs what it sends"] if is_wrong else []
        if auth is None:
            return ['auth: missing; say how senders are known, or auth = "none" for everybody']
        if auth == "google-oidc" and not (lines.get("audience") and lines.get("email")):
            return ["auth google-oidc: give audience and email, or any account of Google could post"]
        return []

    @model_validator(mode="after")
    def _says_who_may_post(self) -> Self:
        for line in self.broken_rules({name: getattr(self, name) for name in type(self).model_fields}):
            raise ValueError(line)
        return self


KIND = Kind(PushOptions, open_push)

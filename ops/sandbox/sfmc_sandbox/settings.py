"""The settings of the sandbox, with their defaults."""

from dataclasses import dataclass, field
from pathlib import Path

from sfmc_sandbox.limits import Limits

DEFAULT_MID = 510001234
SHORTEST_TOKEN, LONGEST_TOKEN = 32, 16_384
IMPORT_TO_LISTS = "list-import"
IMPORT_TO_DATA_EXTENSIONS = "data-extension-import"
IMPORT_ALL_SUBSCRIBERS = "all-subscribers-import"
ALL_PERMISSIONS = frozenset({IMPORT_TO_LISTS, IMPORT_TO_DATA_EXTENSIONS, IMPORT_ALL_SUBSCRIBERS})
"""The three permissions of Marketing Cloud's page "ImportDefinition", as roles of the sandbox's callers."""


@dataclass(frozen=True)
class Principal:
    """Someone who may call: an API client (id and secret) or a user (name and password)."""

    name: str
    secret: str = field(repr=False)
    permissions: frozenset[str] = ALL_PERMISSIONS
    mids: frozenset[int] | None = None
    """The business units this principal may act in; None means all."""

    def may_act_in(self, mid: int) -> bool:
        """Whether a business unit is among those."""
        return self.mids is None or mid in self.mids


@dataclass(frozen=True)
class SandboxSettings:
    """All settings of the sandbox. Times are seconds unless a name says otherwise."""

    clients: tuple[Principal, ...] = (Principal("demo-client", "demo-secret"),)
    users: tuple[Principal, ...] = (Principal("demo-user", "demo-password"),)
    mids: tuple[int, ...] = (DEFAULT_MID,)
    """Business units that exist; the first is the one of callers that name none."""
    time_zone: str = "America/Chicago"
    """The zone in which the dates of FileSpec are read; the control API can change it."""
    all_subscribers_list_id: int = 1
    default_encoding: str = "utf-8"
    data: Path | None = None
    """Where state and file transfer locations live; None means memory and a temporary folder."""
    token_lifetime: int = 1200
    token_length: int = 64
    """Characters of an access token; those of the live service have some hundreds."""
    limits: Limits = field(default_factory=Limits)
    """How much is kept and how long a request may be."""
    tls: Path | None = None
    """Serve HTTPS with this certificate and key (one PEM file); None means plain HTTP."""
    validate: bool = False
    """Check each reply against the WSDL's schema before it is sent."""
    is_platform_object: bool = False
    """Send the element IsPlatformObject that the live service sends and no WSDL declares."""
    row_delay: float = 0.0
    """How long a started run stays invisible to Retrieve."""
    slowdown: float = 0.0
    """How long, at least, a run shows as Processing."""
    inside_window: str = "accept"
    """What a direct start inside MaxImportFrequency does: accept, error-run or refuse."""
    overall_status_message: str = ""
    """OverallStatusMessage of a Perform that went well: empty today, `OK` on the vendor's older page."""
    conversation_ids: str = "refuse-replay"
    """What Perform does with Options/ConversationID: refuse-replay (code 211) or ignore."""
    key_comparison: str = "database"
    """How keys and texts in filters are compared: database (any case, blanks at the end do not count) or exact."""
    single_in: str = "refuse"
    """What Retrieve does with the operator IN and one value: refuse or accept."""
    comparisons: str = "answer"
    """What Retrieve does with the operators greaterThan, lessThan and their relatives: answer or refuse."""
    allowed_hosts: tuple[str, ...] = ()
    """Names, beside localhost and IP addresses, by which the control API may be called."""
    destination_id: str = "customer-key"
    """DestinationID of a run into a data extension: customer-key or object-id."""

"""What producers need of the ledger, and its client: over Redis, or over the HTTP API where SFMC_API_URL is set."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, Unpack

from sfmc_import.client import Client, NotTaken, Rejection, Submission, SubmitResult
from sfmc_import.errors import SettingsError
from sfmc_import.events import Event
from sfmc_import.request import FileInfo
from sfmc_import.settings import Settings
from sfmc_import.states import Reported


class Running(Protocol):
    """What runs: sentences about what does not, and what may stand still."""

    @property
    def workers(self) -> int:
        """How many workers live."""
        ...

    @property
    def beats(self) -> int:
        """How many beats live."""
        ...

    @property
    def missing(self) -> Sequence[str]:
        """One sentence for each kind of process of which none runs."""
        ...

    @property
    def late(self) -> Sequence[str]:
        """One sentence for each kind whose heartbeats have stopped."""
        ...


class Ledger(Protocol):
    """See `sfmc_import.client.Client`; all raise ServiceUnavailableError when it does not answer."""

    mid: str

    def prepare(self) -> None:
        """Do now what would make the first submission slow; nothing connects."""
        ...

    def submit(self, **submission: Unpack[Submission]) -> SubmitResult:
        """Ask for one start."""
        ...

    def state_of(self, submission: Submission) -> str | None:
        """Give the state of a request; None where `submit` may make a new one."""
        ...

    def own_id(self, usual: str) -> str:
        """Give an id in place of a `usual` one that is taken: it cannot be foreseen, and is the same each time."""
        ...

    def submit_many(self, submissions: Iterable[Submission]) -> list[SubmitResult | NotTaken]:
        """Ask for many starts."""
        ...

    def confirm(self, recorded: Sequence[str | Reported]) -> None:
        """Return once disk or replicas have these records and all before them, where the settings ask for that."""
        ...

    def reject(
        self,
        *,
        customer_key: str,
        request_id: str,
        code: str,
        text: str,
        mid: str | None = None,
        file: FileInfo | None = None,
        event_id: str | None = None,
        source: str | None = None,
    ) -> Rejection:
        """Record a request that must not be started."""
        ...

    def report(self, name: str, *, file: FileInfo, detail: Mapping[str, Any]) -> bool:
        """Publish once that a file became no request."""
        ...

    def note_folders(self, watcher: str, folders: Sequence[Mapping[str, Any]] | None) -> None:
        """Say what a watcher knows of its folders; None when it ends."""
        ...

    def now(self) -> float:
        """Give the time of Redis, in seconds since 1970."""
        ...

    def note_clock(self, process: str, ahead: float | None) -> None:
        """Say by how many seconds the clock of a process is ahead of that of Redis; None where the two agree."""
        ...

    def running(self) -> Running:
        """Count the workers and beats that live."""
        ...

    def follow(
        self, request_id: str, *, within: float | None = None, on_outage: Callable[[str], None] | None = None
    ) -> Iterator[Event]:
        """Yield the events of a request until its end; an outage is said once to `on_outage`."""
        ...


@contextmanager
def open_ledger(
    settings: Settings, *, on_unsent: Callable[[str], None] | None = None, confirms_each: bool = True
) -> Iterator[Ledger]:
    """Open the client that the settings name; nothing connects. The options are those of `Client.from_settings`."""
    if not settings.api_url:
        with Client.from_settings(settings, on_unsent=on_unsent, confirms_each=confirms_each) as client:
            yield client
        return
    from sfmc_import.api_client import ApiClient  # noqa: PLC0415 - httpx, which Redis does not need
    from sfmc_import.api_client.submitting import ApiSubmitter  # noqa: PLC0415 - as above

    token = settings.api_token.get_secret_value()
    with ApiSubmitter(ApiClient(settings.api_url, token), settings.account_id, token=token) as api:
        yield api


def require_redis(settings: Settings, what: str) -> None:
    """Raise SettingsError for what needs Redis itself, where only the API is given."""
    if settings.api_url:
        raise SettingsError(
            [f"SFMC_API_URL: {what} needs Redis itself; leave SFMC_API_URL out, and set SFMC_REDIS_URL"]
        )

"""Push sources for tests: in this process over a client in memory, and `sfmc-import serve` as a process."""

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from sfmc_import.settings import Route
from sfmc_local.processes import stop
from sfmc_producers.push.inbox import Inbox
from sfmc_producers.push.options import PushOptions
from sfmc_producers.sources.intake import Intake, SentBack, SetAside
from sfmc_producers.submitter import RoutingRules, Submitter
from sfmc_server.application import create_app
from sfmc_server.authentication import Everybody, Verifier
from sfmc_server.push_source import PushSource
from tests.support.asgi_client import AppClient
from tests.support.fake_client import FakeClient
from tests.support.processes import RunningSystem
from tests.support.sources import use_policy
from tests.support.waiting import eventually


@dataclass
class Letters:
    """Implements SetAside in memory."""

    kept: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    sent_back: list[SentBack] = field(default_factory=list)
    is_down: bool = False
    confirms_nothing: bool = False

    def add(self, source: str, record_id: str, body: bytes, text: str) -> bool:
        """Keep the bytes once."""
        del source
        if not self.is_down:
            self.kept.setdefault(record_id, (body, text))
        return not self.is_down

    def confirm(self, source: str, record_ids: Sequence[str]) -> bool:
        """Whether disk or replicas have them."""
        del source
        return not self.confirms_nothing and self.kept.keys() >= set(record_ids)

    def outage(self, source: str) -> str:
        """Why nothing is kept, or confirmed."""
        del source
        return "letters are not kept" if self.is_down else "letters are not confirmed" if self.confirms_nothing else ""

    def marks(self, source: str, record_ids: Sequence[str]) -> list[str]:
        """The keys of what was kept."""
        return [f"{source}:{each}" for each in record_ids]

    def send_back(self, letter_id: str, body: bytes) -> None:
        """What an operator does."""
        self.sent_back.append(SentBack(letter_id, body, body))

    def replayed(self, source: str) -> list[SentBack]:
        """What was sent back."""
        del source
        return list(self.sent_back)

    def done(self, source: str, letter: SentBack) -> None:
        """Forget it."""
        del source
        self.sent_back.remove(letter)


@dataclass
class Push:
    """One push source over a client in memory, and what posts to it."""

    source: PushSource
    client: FakeClient
    letters: Letters
    http: AppClient

    def post(self, body: Any, path: str = "/events/drop", **headers: str) -> httpx.Response:
        """Post JSON, or bytes as they are."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.request("POST", path, content=raw, headers={"content-type": "application/json"} | named)


def push_source(
    client: Any,
    set_aside: SetAside,
    verifier: Verifier | None = None,
    inbox: Inbox | None = None,
    clock: Callable[[], float] | None = None,
    **lines: Any,
) -> PushSource:
    """Make the source `drop`, all of whose .csv files start the definition orders."""
    options = PushOptions.model_validate({"form": "cloudevents", "auth": "none", **lines})
    routes = [Route(pattern="*.csv", customer_key="orders")]
    rules = RoutingRules(definitions=client, routes=routes)
    steps = iter(range(10**9))
    submitter = Submitter(client, rules, clock or (lambda: float(next(steps))), lambda: datetime.now(UTC))
    return PushSource(options, verifier or Everybody(), Intake("drop", submitter), set_aside, inbox)


@contextmanager
def pushing(
    verifier: Verifier | None = None,
    is_ready: Callable[[], bool] = lambda: True,
    inbox: Inbox | None = None,
    clock: Callable[[], float] | None = None,
    **lines: Any,
) -> Iterator[Push]:
    """Serve the source `drop` in this process."""
    client, letters = FakeClient(), Letters()
    source = push_source(client, letters, verifier, inbox, clock, **lines)
    with AppClient(create_app({"drop": source}, is_ready)) as http:
        yield Push(source, client, letters, http)


@dataclass(frozen=True)
class Server:
    """A running `sfmc-import serve`."""

    child: subprocess.Popen[bytes]
    port: int

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def running_server(system: RunningSystem, policy: str, **env: str) -> Iterator[Server]:
    """Keep `sfmc-import serve` running with this policy file, on a free port."""
    child = system.start("serve", "--port", "0", "--json", **use_policy(system, policy), **env)
    try:
        yield Server(child, port_of(system, child))
    finally:
        stop(child)


def port_of(system: RunningSystem, child: subprocess.Popen[bytes]) -> int:
    """Wait until the server says its port."""

    def started() -> Mapping[str, Any] | None:
        text = system.log_of(child).read_text("utf-8")
        assert child.poll() is None, text
        lines = [json.loads(line) for line in text.splitlines() if "server_started" in line]
        return lines[0] if lines else None

    found = eventually(started, 30, "the server listens")
    assert found is not None
    return int(found["port"])

"""The sandbox as a real process for tests, and a small client for its control API."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypedDict

import requests

_ROOT = Path(__file__).parents[2]
CLIENT_ID, CLIENT_SECRET = "demo-client", "demo-secret"
USERNAME, PASSWORD = "demo-user", "demo-password"
ACCOUNT_ID = 510001234
ENHANCED_FTP = "ExactTarget Enhanced FTP"


class Perform(TypedDict):
    """One applied start as the sandbox reports it; `status` and `result` as the run stands now."""

    task_id: str
    customer_key: str
    mid: int
    time: str
    status: str
    result: dict[str, Any] | None


class SandboxProcess:
    """A sandbox on a free port. Use as a context manager, or `start` and `stop` it.

    `options` are command-line options, for instance `["--token-lifetime", "2"]`. Replies are checked against the
    WSDL unless `validate` is false. `data` is the folder of the files to import, see `drop`. `command` is the
    program, run in the folder `cwd`.
    """

    def __init__(
        self, options: Sequence[str] = (), *, data: Path | None = None, port: int = 0, validate: bool = True,
        command: Sequence[str] = (sys.executable, "-m", "sfmc_sandbox"), cwd: Path = _ROOT,
    ) -> None:  # fmt: skip
        self._command = command
        self._cwd = cwd
        self._options = [*options, *(["--validate"] if validate else [])]
        self._data = data
        self._port = port
        self._process: subprocess.Popen[str] | None = None
        self.url = ""
        self.errors: list[str] = []

    def __enter__(self) -> Self:
        return self if self._process is not None else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def auth_url(self) -> str:
        return self.url

    @property
    def soap_url(self) -> str:
        return f"{self.url}/Service.asmx"

    @property
    def wsdl_url(self) -> str:
        return f"{self.url}/etframework.wsdl"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def control(self) -> "SandboxControl":
        return SandboxControl(self.url)

    def start(self) -> Self:
        """Start and return when calls are answered; a second start takes the same port again."""
        assert self._process is None, "the sandbox is running already"
        command = [*self._command, "--port", str(self._port), "--json", *self._options]
        if self._data is not None:
            command += ["--data", str(self._data)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SFMC_")}
        self._process = subprocess.Popen(
            command, cwd=self._cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            _, errors = self._process.communicate(timeout=60)
            raise AssertionError(f"the sandbox did not start: {errors}")
        self.url = json.loads(line)["url"]
        self._port = int(self.url.rpartition(":")[2])
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()
        return self

    def stop(self, sign: int = signal.SIGTERM) -> int:
        """End the process and return its exit code."""
        process = self._process
        if process is None:
            return 0
        if process.poll() is None:
            process.send_signal(sign)
        try:
            code = process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        assert process.stdout is not None
        process.stdout.close()
        self._process = None
        return code

    def kill(self) -> None:
        """End the process the hard way."""
        self.stop(signal.SIGKILL)

    def drop(self, name: str, content: str | bytes, *, location: str = ENHANCED_FTP, mid: int = ACCOUNT_ID) -> Path:
        """Put a file where the sandbox's imports read it; needs `data`."""
        assert self._data is not None
        folder = self._data / str(mid) / location
        folder = folder / "Import" if location == ENHANCED_FTP else folder
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def settings(self) -> dict[str, str]:
        """The environment a worker needs to use this sandbox."""
        return {
            "SFMC_AUTH_URL": self.auth_url,
            "SFMC_SOAP_URL": self.soap_url,
            "SFMC_CLIENT_ID": CLIENT_ID,
            "SFMC_CLIENT_SECRET": CLIENT_SECRET,
            "SFMC_ACCOUNT_ID": str(ACCOUNT_ID),
        }

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        with process.stderr:
            self.errors.extend(process.stderr)


@dataclass(frozen=True)
class SandboxControl:
    """The sandbox's control API. Every method raises requests.HTTPError when the sandbox refuses."""

    url: str

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = self._call("GET", "health")
        return found

    def performs(self, customer_key: str | None = None) -> list[Perform]:
        """Applied starts, oldest first."""
        query = {} if customer_key is None else {"customer_key": customer_key}
        found: list[Perform] = self._call("GET", "performs", params=query)
        return found

    def bad_rows(self, task_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._call("GET", f"performs/{task_id}/bad-rows")
        return found

    def faults(self) -> list[dict[str, Any]]:
        """Active rules."""
        found: list[dict[str, Any]] = self._call("GET", "faults")
        return found

    def add_fault(self, fault: str, operation: str = "Perform", customer_key: str = "*", **more: Any) -> dict[str, Any]:
        """Ask for a fault; `more` may hold count, or probability and seed, and the fault's parameters."""
        rule = {"fault": fault, "operation": operation, "customer_key": customer_key, **more}
        made: dict[str, Any] = self._call("POST", "faults", json=rule)
        return made

    def clear_faults(self) -> None:
        self._call("DELETE", "faults")

    @contextmanager
    def fault(self, fault: str, operation: str = "Perform", customer_key: str = "*", **more: Any) -> Iterator[None]:
        """A fault for the length of a block."""
        rule = self.add_fault(fault, operation, customer_key, **more)
        yield
        self._call("DELETE", f"faults/{rule['id']}")

    def reset(self) -> None:
        """Forget objects, runs and faults."""
        self._call("POST", "reset")

    def advance(self, seconds: float) -> None:
        """Let time pass on the sandbox's clock."""
        self._call("POST", "clock", json={"advance": seconds})

    def set_clock(self, moment: str) -> None:
        """Set the sandbox's clock to an ISO time."""
        self._call("POST", "clock", json={"set": moment})

    def set_zone(self, name: str) -> None:
        """The zone in which the dates of FileSpec are read."""
        self._call("POST", "clock", json={"zone": name})

    def set_before_midnight(self, seconds: float) -> str:
        """Set the clock so many seconds before the next midnight of the zone; returns the local time."""
        return str(self._call("POST", "clock", json={"before_midnight": seconds})["local"])

    def set_token_length(self, length: int) -> None:
        """Characters of the tokens issued from now on."""
        self._call("POST", "tokens", json={"length": length})

    def expire_tokens(self) -> None:
        """Every token issued so far is expired from now on."""
        self._call("DELETE", "tokens")

    def define(self, customer_key: str, **properties: Any) -> dict[str, Any]:
        """Store an ImportDefinition without checks; without DestinationObject it gets a data extension."""
        made: dict[str, Any] = self._call("POST", "definitions", json={"CustomerKey": customer_key, **properties})
        return made

    def definition(self, customer_key: str) -> dict[str, Any]:
        """A definition as the sandbox keeps it, with every property by its wire name."""
        found: dict[str, Any] = self._call("GET", f"definitions/{customer_key}")
        return found

    def set_system_status(self, status: str) -> None:
        """What GetSystemStatus answers from now on."""
        self._call("POST", "system-status", json={"status": status})

    def add_client(self, client_id: str, client_secret: str, permissions: Sequence[str], **more: Any) -> None:
        """A further API client with only these permissions."""
        body = {"client_id": client_id, "client_secret": client_secret, "permissions": list(permissions), **more}
        self._call("POST", "callers", json=body)

    def _call(self, method: str, path: str, **kwargs: Any) -> Any:
        reply = requests.request(method, f"{self.url}/_sandbox/{path}", timeout=60, **kwargs)
        reply.raise_for_status()
        return reply.json()

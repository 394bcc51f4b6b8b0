"""The control API answers programs on this machine, and refuses what a page of another site can send."""

import http.client
import json
from typing import Any

import pytest

from tests.support.sandbox_server import SandboxProcess

RULE = json.dumps({"fault": "fault_9"}).encode()
JSON = {"Content-Type": "application/json"}


def ask(
    sandbox: SandboxProcess, method: str = "POST", path: str = "/_sandbox/faults", body: bytes | None = RULE,
    **headers: str,
) -> tuple[int, Any]:  # fmt: skip
    connection = http.client.HTTPConnection(sandbox.url.removeprefix("http://"), timeout=20)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(method, path, body, named)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "localhost.", "127.0.0.1:8943", "[::1]:8943", "10.1.2.3"])
def test_localhost_and_addresses_may_be_called(sandbox: SandboxProcess, host: str) -> None:
    assert ask(sandbox, Host=host, Content_Type="application/json; charset=utf-8")[0] == 201


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8943", "127.0.0.1.evil.example", "", "[::1", "local host"]
)
@pytest.mark.parametrize("path", ["/_sandbox/", "/_sandbox/faults", "/%5Fsandbox/faults"])
def test_a_name_that_is_not_allowed_is_refused(sandbox: SandboxProcess, host: str, path: str) -> None:
    status, content = ask(sandbox, "GET", path, None, Host=host)
    assert status == 403
    assert b"--allow-host" in content


def test_a_name_can_be_allowed() -> None:
    with SandboxProcess(["--allow-host", "sandbox", "--allow-host", "mc.test"]) as running:
        for host in ("sandbox:8943", "MC.test"):
            assert ask(running, Host=host, Content_Type="application/json")[0] == 201
        assert ask(running, Host="evil.example", Content_Type="application/json")[0] == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://localhost", ""])
def test_a_page_of_another_site_is_refused(sandbox: SandboxProcess, origin: str) -> None:
    host = sandbox.url.removeprefix("http://")
    assert ask(sandbox, Host=host, Origin=origin, Content_Type="application/json")[0] == 403
    assert ask(sandbox, "DELETE", "/_sandbox/tokens", None, Host=host, Origin=origin)[0] == 403
    assert sandbox.control.faults() == []


def test_a_page_of_its_own_may_call(sandbox: SandboxProcess) -> None:
    assert ask(sandbox, Origin=sandbox.url, Content_Type="application/json", Sec_Fetch_Site="same-origin")[0] == 201


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_change_that_a_browser_calls_foreign_is_refused_and_a_link_is_not(sandbox: SandboxProcess, site: str) -> None:
    assert ask(sandbox, "POST", "/_sandbox/reset", None, Sec_Fetch_Site=site)[0] == 403
    assert ask(sandbox, "GET", "/_sandbox/", None, Sec_Fetch_Site=site)[0] == 200


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data", ""])
def test_a_body_must_be_json_by_its_header(sandbox: SandboxProcess, kind: str) -> None:
    status, content = ask(sandbox, Content_Type=kind)
    assert (status, b"Content-Type: application/json" in content) == (415, True)
    assert sandbox.control.faults() == []


def test_a_change_without_body_needs_no_header(sandbox: SandboxProcess) -> None:
    assert ask(sandbox, "POST", "/_sandbox/reset", None)[0] == 200


def test_soap_and_tokens_are_answered_under_any_name(sandbox: SandboxProcess) -> None:
    form = b"grant_type=client_credentials&client_id=demo-client&client_secret=demo-secret"
    kind = "application/x-www-form-urlencoded"
    assert ask(sandbox, "POST", "/v2/token", form, Host="mc.test", Content_Type=kind)[0] == 200
    assert ask(sandbox, "GET", "/etframework.wsdl", None, Host="mc.test")[0] == 200

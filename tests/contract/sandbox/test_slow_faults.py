"""Answers that hang, trickle or are far too large, refusals with any text, and failures of a whole account."""

import contextlib
import http.client
import threading
import zlib
from collections.abc import Iterator

import pytest
import requests

from tests.support.sandbox_server import SandboxProcess
from tests.support.soap_conversation import Conversation, envelope, start
from tests.support.waiting import eventually

LOGIN = {"grant_type": "client_credentials", "client_id": "demo-client", "client_secret": "demo-secret"}
MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def _definitions(sandbox: SandboxProcess) -> None:
    for key in ("daily", "weekly"):
        sandbox.control.define(key)


@contextlib.contextmanager
def _posted(
    sandbox: SandboxProcess, operation: str, header: str, *, timeout: float
) -> Iterator[http.client.HTTPResponse]:
    """One call on a connection of its own, read as far as the headers."""
    connection = http.client.HTTPConnection(sandbox.url.removeprefix("http://"), timeout=timeout)
    with contextlib.closing(connection):
        _send(connection, operation, header)
        with connection.getresponse() as reply:
            yield reply


def _send(connection: http.client.HTTPConnection, operation: str, header: str) -> None:
    if operation == "Token":
        form = "&".join(f"{name}={value}" for name, value in LOGIN.items())
        connection.request("POST", "/v2/token", form, {"Content-Type": "application/x-www-form-urlencoded"})
    else:
        body = envelope(start("<CustomerKey>daily</CustomerKey>"), header)
        connection.request("POST", "/Service.asmx", body, {"SOAPAction": "Perform", "Content-Type": "text/xml"})


def _status(sandbox: SandboxProcess, header: str, *, timeout: float = 20) -> tuple[int, str | None]:
    with _posted(sandbox, "Perform", header, timeout=timeout) as reply:
        return reply.status, reply.headers["Retry-After"]


@pytest.mark.parametrize("operation", ["Token", "Perform"])
def test_a_trickling_body_comes_byte_by_byte_behind_its_headers(
    client: Conversation, sandbox: SandboxProcess, operation: str
) -> None:
    header = client.header()
    sandbox.control.add_fault("trickle", operation=operation, count=1, bytes_per_second=20)
    with _posted(sandbox, operation, header, timeout=20) as reply:
        assert reply.status == 200
        assert reply.read1(100) in {b"<", b"{"}


@pytest.mark.parametrize("operation", ["Token", "Perform"])
def test_an_answer_can_trickle_from_its_first_byte(
    client: Conversation, sandbox: SandboxProcess, operation: str
) -> None:
    header = client.header()
    sandbox.control.add_fault("trickle_all", operation=operation, count=1, bytes_per_second=1)
    with pytest.raises(TimeoutError), _posted(sandbox, operation, header, timeout=0.3):
        pass
    sandbox.control.add_fault("trickle_all", operation=operation, count=1, bytes_per_second=1_000_000)
    with _posted(sandbox, operation, header, timeout=20) as reply:
        assert reply.read().endswith((b"}", b"</soap:Envelope>"))


@pytest.mark.parametrize("operation", ["Token", "Perform"])
def test_a_bomb_is_a_good_answer_and_very_many_blanks_in_few_bytes(
    client: Conversation, sandbox: SandboxProcess, operation: str
) -> None:
    header = client.header()
    sandbox.control.add_fault("gzip_bomb", operation=operation, count=1, megabytes=8)
    with _posted(sandbox, operation, header, timeout=20) as reply:
        packed = reply.read()
    assert reply.headers["Content-Encoding"] == "gzip"
    whole = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(packed)
    assert (len(packed) < 60_000, len(whole) > 8 * MIB) == (True, True)
    assert whole.rstrip().endswith((b"}", b"</soap:Envelope>"))


def test_a_padded_answer_is_good_and_large(client: Conversation, sandbox: SandboxProcess) -> None:
    sandbox.control.add_fault("padded", count=1, megabytes=8)
    reply = client.perform("daily")
    assert (reply.text("OverallStatus"), len(reply.content) > 8 * MIB) == ("OK", True)


@pytest.mark.parametrize(("fault", "applied"), [("hang", 0), ("hang_after_applying", 1)])
def test_a_definition_can_hang_until_the_caller_goes_and_no_other_one_does(
    client: Conversation, sandbox: SandboxProcess, fault: str, applied: int
) -> None:
    header = client.header()
    sandbox.control.add_fault(fault, customer_key="daily")
    gone: list[BaseException] = []

    def call() -> None:
        try:
            _status(sandbox, header, timeout=0.4)
        except TimeoutError as problem:
            gone.append(problem)

    callers = [threading.Thread(target=call) for _ in range(5)]
    for caller in callers:
        caller.start()
    assert client.perform("weekly").text("OverallStatus") == "OK"
    for caller in callers:
        caller.join()
    assert len(gone) == len(callers)
    eventually(lambda: len(sandbox.control.performs("daily")) == applied * len(callers), 20, "all were applied")


@pytest.mark.nightly
def test_a_sandbox_with_hanging_calls_ends_in_seconds_and_quietly() -> None:
    with SandboxProcess() as sandbox:
        sandbox.control.define("daily")
        header = Conversation(sandbox).header()
        with contextlib.ExitStack() as open_connections:
            for fault in ("hang", "trickle", "trickle_all", "delay"):
                sandbox.control.clear_faults()
                sandbox.control.add_fault(fault, **({"seconds": 60} if fault == "delay" else {}))
                host = sandbox.url.removeprefix("http://")
                connection = open_connections.enter_context(contextlib.closing(http.client.HTTPConnection(host)))
                _send(connection, "Perform", header)
                eventually(lambda: sandbox.control.faults()[0]["fired"] == 1, 20, "the call hangs")
            assert sandbox.stop() == 0
        assert "Traceback" not in "".join(sandbox.errors)


@pytest.mark.parametrize("text", ["0", "86400", "9" * 400, "-1", "NaN", "Wed, 21 Oct 2037 07:28:00 GMT", "soon"])
@pytest.mark.parametrize("fault", ["http_429", "http_503", "http_any", "account_wide"])
def test_retry_after_is_sent_as_it_was_given(sandbox: SandboxProcess, fault: str, text: str) -> None:
    sandbox.control.add_fault(fault, operation="*", count=1, retry_after=text)
    reply = requests.post(f"{sandbox.url}/v2/token", json=LOGIN, timeout=60)
    assert reply.headers["Retry-After"] == text
    assert reply.status_code in {401, 429, 503}


def test_an_account_can_fail_as_a_whole(client: Conversation, sandbox: SandboxProcess) -> None:
    header = client.header()
    sandbox.control.add_fault("account_wide", operation="*", status=429, retry_after="7")
    token = requests.post(f"{sandbox.url}/v2/token", json=LOGIN, timeout=60)
    assert [_status(sandbox, header) for _ in range(2)] == [(429, "7")] * 2
    assert (token.status_code, token.headers["Retry-After"]) == (429, "7")
    assert requests.get(sandbox.wsdl_url, timeout=60).status_code == 200
    assert sandbox.control.performs() == []


def test_one_business_unit_can_fail_while_another_answers() -> None:
    with SandboxProcess(["--account-id", "1001", "--account-id", "1002"]) as sandbox:
        headers = {}
        for mid in (1001, 1002):
            sandbox.control.define("daily", mid=mid)
            headers[mid] = f"<fueloauth>{Conversation(sandbox).token(account_id=mid)}</fueloauth>"
        sandbox.control.add_fault("account_wide", operation="*", mid=1001)
        statuses = {
            mid: (
                requests.post(f"{sandbox.url}/v2/token", json={**LOGIN, "account_id": mid}, timeout=60).status_code,
                _status(sandbox, headers[mid])[0],
            )
            for mid in headers
        }
        assert statuses == {1001: (503, 503), 1002: (200, 200)}


@pytest.mark.parametrize("status", [401, 403, 404, 502])
def test_any_status_can_come_without_a_fault(client: Conversation, sandbox: SandboxProcess, status: int) -> None:
    sandbox.control.add_fault("http_any", status=status, text="No.", count=1)
    reply = client.perform("daily")
    assert (reply.status, reply.content, sandbox.control.performs()) == (status, b"No.", [])


def test_faults_and_errors_can_have_any_code_and_text(client: Conversation, sandbox: SandboxProcess) -> None:
    sandbox.control.add_fault("fault_any", count=1, code=777, text="Strange")
    fault = client.perform("daily")
    assert (fault.status, fault.text("Code"), fault.fault) == (500, "777", "Strange")
    sandbox.control.add_fault("error_any", count=1, code=778, text="API Permission Failed")
    error = client.perform("daily")
    assert (error.status, error.text("ErrorCode"), error.text("StatusMessage")) == (200, "778", "API Permission Failed")
    sandbox.control.add_fault("error_any", operation="Retrieve", count=1, text="Nothing today")
    assert client.retrieve("ImportDefinition", ["Name"]).text("OverallStatus") == "Error: Nothing today"


def test_a_token_can_be_refused_in_any_words(sandbox: SandboxProcess) -> None:
    sandbox.control.add_fault("token_refused", operation="Token", count=1, status=400, error="invalid_scope")
    reply = requests.post(f"{sandbox.url}/v2/token", json=LOGIN, timeout=60)
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize("length", [64, 700, 3000])
def test_tokens_can_have_any_length(client: Conversation, sandbox: SandboxProcess, length: int) -> None:
    sandbox.control.set_token_length(length)
    assert len(client.token()) == length
    assert client.perform("daily").text("OverallStatus") == "OK"


def test_a_file_of_today_becomes_one_of_yesterday_at_midnight_of_the_zone(
    client: Conversation, sandbox: SandboxProcess
) -> None:
    sandbox.control.set_zone("Asia/Tokyo")
    sandbox.control.set_clock("2026-03-01T12:00:00Z")
    assert sandbox.control.set_before_midnight(600).startswith("2026-03-01T23:50:0")
    sandbox.control.define("dated", FileSpec="%%YEAR%%%%MONTH%%%%DAY%%.csv")
    for name in ("20260301.csv", "20260302.csv"):
        sandbox.drop(name, "key\n1\n")
    seen = []
    for wait in (0, 601):
        sandbox.control.advance(wait)
        client.perform("dated")
        run = eventually(lambda: sandbox.control.performs("dated")[len(seen)]["result"], 20, "the run ended")
        seen.append(run["file"])
    assert seen == ["20260301.csv", "20260302.csv"]


@pytest.mark.parametrize(
    ("path", "fields", "complaint"),
    [
        ("faults", {"fault": "trickle", "bytes_per_second": 0}, "bytes_per_second is 0: it must be between 0.01 and"),
        ("faults", {"fault": "http_any", "status": 200}, "status is 200: it must be between 400 and 599"),
        ("faults", {"fault": "http_503", "retry_after": "1\r\nX: y"}, "it must be one printable line"),
        ("faults", {"fault": "delay", "seconds": 1e300}, "seconds is 1e+300: it must be between"),
        ("faults", {"fault": "account_wide", "operation": "Wsdl"}, "account_wide does not apply to Wsdl"),
        ("faults", {"fault": "token_refused", "operation": "Perform"}, "token_refused does not apply to Perform"),
        ("tokens", {"length": 5}, "length is 5: it must be between 32 and 16384"),
        ("clock", {"zone": "Mars"}, "zone is 'Mars': it must be the name of a time zone"),
        ("clock", {"before_midnight": "x"}, "before_midnight is 'x': it must be a number of seconds"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_reason(
    sandbox: SandboxProcess, path: str, fields: dict[str, object], complaint: str
) -> None:
    reply = requests.post(f"{sandbox.url}/_sandbox/{path}", json=fields, timeout=60)
    assert reply.status_code == 400
    assert complaint in reply.json()["error"]

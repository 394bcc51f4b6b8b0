"""Injected faults: each does what its name says, to the calls that its rule matches, and to no others."""

import http.client

import pytest
import requests

from tests.support.sandbox_server import SandboxProcess
from tests.support.soap_conversation import Conversation, envelope, equals, start
from tests.support.waiting import eventually

NOT_APPLIED = {
    "drop_before_applying": "reset",
    "http_400": 400,
    "http_500": 500,
    "http_429": 429,
    "http_503": 503,
    "http_any": 401,
    "account_wide": 503,
    "fault_any": "99",
    "error_any": "99999",
    "fault_2": "2",
    "fault_9": "9",
    "fault_10": "10",
    "fault_11": "11",
    "fault_12": "12",
    "fault_13": "13",
    "fault_17": "17",
    "token_expired": "Token Expired",
    "login_failed": "Login Failed",
    "error_43010": "43010",
    "error_43060": "43060",
    "error_timeout": "2",
}
APPLIED = {
    "drop_after_applying": "reset",
    "http_500_after_applying": 500,
    "http_any_after_applying": 403,
    "fault_2_after_applying": "2",
    "missing_task": "no task",
    "garbage": 200,
    "truncated": "reset",
    "wrong_content_type": 200,
    "delay": "OK",
    "delay_after_applying": "OK",
    "slow_drip": "OK",
    "late_row": "OK",
    "slow_run": "OK",
    "status_unknown": "OK",
    "status_strange": "OK",
    "empty_run": "OK",
    "error_run": "OK",
}
RUN = ["ImportStatus", "TotalRows", "EndDate"]


@pytest.fixture(autouse=True)
def _definition(sandbox: SandboxProcess) -> None:
    sandbox.control.define("daily", FileSpec="daily.csv")
    sandbox.control.define("weekly")
    sandbox.drop("daily.csv", "key\n1\n")


def _what_happens(client: Conversation, key: str = "daily") -> object:
    """What a caller sees of a start, in one word."""
    try:
        reply = client.perform(key)
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
        return "reset"
    if not reply.content.startswith(b"<?xml"):
        return reply.status
    if reply.texts("Code") or reply.texts("faultstring"):
        return reply.text("Code") or reply.text("faultstring")
    if reply.text("OverallStatus") == "OK":
        return "OK" if reply.elements("Task") else "no task"
    return reply.text("ErrorCode")


@pytest.mark.parametrize(("fault", "seen"), NOT_APPLIED.items())
def test_faults_before_applying_start_nothing(
    client: Conversation, sandbox: SandboxProcess, fault: str, seen: object
) -> None:
    sandbox.control.add_fault(fault, count=1)
    assert _what_happens(client) == seen
    assert sandbox.control.performs() == []
    assert _what_happens(client) == "OK"


@pytest.mark.parametrize(("fault", "seen"), APPLIED.items())
def test_faults_after_applying_have_started_the_run(
    client: Conversation, sandbox: SandboxProcess, fault: str, seen: object
) -> None:
    seconds = {"seconds": 0.2} if fault in {"delay", "delay_after_applying", "slow_drip"} else {}
    sandbox.control.add_fault(fault, count=1, **seconds)
    assert _what_happens(client) == seen
    assert len(sandbox.control.performs()) == 1


def test_every_fault_of_the_catalogue_is_tried_here(sandbox: SandboxProcess) -> None:
    known = {entry["fault"] for entry in requests.get(f"{sandbox.url}/_sandbox/catalogue", timeout=60).json()}
    slow = {"hang", "hang_after_applying", "trickle", "trickle_all", "gzip_bomb", "padded"}  # test_slow_faults.py
    assert known == {*NOT_APPLIED, *APPLIED, *slow, "throttle", "token_refused"}


def test_a_count_runs_out(client: Conversation, sandbox: SandboxProcess) -> None:
    sandbox.control.add_fault("fault_9", count=2)
    assert [_what_happens(client) for _ in range(4)] == ["9", "9", "OK", "OK"]
    assert sandbox.control.faults()[0] | {"id": 0} == sandbox.control.faults()[0] | {"id": 0, "count": 0, "fired": 2}


def test_rules_behind_one_that_ends_the_call_wait_for_the_next(client: Conversation, sandbox: SandboxProcess) -> None:
    for fault in ("drop_after_applying", "fault_9", "http_500"):
        sandbox.control.add_fault(fault, count=1)
    assert [_what_happens(client) for _ in range(4)] == ["9", 500, "reset", "OK"]


def test_a_probability_with_a_seed_matches_the_same_calls_every_time(
    client: Conversation, sandbox: SandboxProcess
) -> None:
    def matched() -> list[object]:
        sandbox.control.clear_faults()
        sandbox.control.add_fault("fault_9", probability=0.5, seed=7)
        return [_what_happens(client) for _ in range(20)]

    first = matched()
    assert first == matched()
    assert {"9", "OK"} == set(first)


def test_a_rule_matches_only_the_definition_it_names(client: Conversation, sandbox: SandboxProcess) -> None:
    sandbox.control.add_fault("fault_9", customer_key="daily")
    assert (_what_happens(client, "weekly"), _what_happens(client, "daily")) == ("OK", "9")


def test_a_rule_matches_a_definition_also_when_its_object_id_is_sent(
    client: Conversation, sandbox: SandboxProcess
) -> None:
    object_id = client.retrieve("ImportDefinition", ["ObjectID"], equals("CustomerKey", "daily")).text("ObjectID")
    sandbox.control.add_fault("fault_9", customer_key="daily")
    assert client.call("Perform", start(f"<ObjectID>{object_id}</ObjectID>")).text("Code") == "9"


def test_a_rule_matches_only_its_operation_and_type_of_object(client: Conversation, sandbox: SandboxProcess) -> None:
    sandbox.control.add_fault("fault_9", operation="Retrieve", object_type="ImportResultsSummary")
    assert _what_happens(client) == "OK"
    assert client.retrieve("ImportDefinition", ["Name"]).status == 200
    assert client.retrieve("ImportResultsSummary", ["TaskResultID"]).status == 500


def test_the_token_endpoint_can_be_down(client: Conversation, sandbox: SandboxProcess) -> None:
    fields = {"grant_type": "client_credentials", "client_id": "demo-client", "client_secret": "demo-secret"}
    sandbox.control.add_fault("http_503", operation="Token", count=1)
    sandbox.control.add_fault("drop_before_applying", operation="Token", count=1)
    reply = requests.post(f"{sandbox.url}/v2/token", json=fields, timeout=60)
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")
    with pytest.raises(requests.ConnectionError):
        requests.post(f"{sandbox.url}/v2/token", json=fields, timeout=60)
    assert client.token()


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        ("garbage", b"\x00\x01 not xml <<<"),
        ("wrong_content_type", b"<html><body>Sorry.</body></html>"),
        ("http_500_after_applying", b"Internal Server Error"),
        ("truncated", None),
        ("drop_after_applying", None),
    ],
)
def test_the_token_endpoint_can_answer_nonsense(
    client: Conversation, sandbox: SandboxProcess, fault: str, seen: bytes | None
) -> None:
    fields = {"grant_type": "client_credentials", "client_id": "demo-client", "client_secret": "demo-secret"}
    sandbox.control.add_fault(fault, operation="Token", count=1)
    try:
        content = requests.post(f"{sandbox.url}/v2/token", json=fields, timeout=60).content
    except requests.RequestException:
        content = None
    assert content == seen
    assert client.token()


def test_a_fault_says_which_operation_it_applies_to(client: Conversation, sandbox: SandboxProcess) -> None:
    sandbox.control.add_fault("fault_2", operation="Retrieve", count=1)
    fault = client.retrieve("ImportDefinition", ["Name"]).text("faultstring")
    assert fault.startswith("Exception occurred during [Retrieve] ErrorID")


def test_a_rule_for_any_operation_waits_for_one_it_can_apply_to(client: Conversation, sandbox: SandboxProcess) -> None:
    for fault in ("missing_task", "error_43010"):
        sandbox.control.add_fault(fault, operation="*", count=1)
    client.token()
    assert [rule["fired"] for rule in sandbox.control.faults()] == [0, 0]
    sandbox.control.clear_faults()
    sandbox.control.add_fault("late_row", operation="*", count=1)
    client.retrieve("ImportDefinition", ["Name"])
    assert [rule["fired"] for rule in sandbox.control.faults()] == [0]


@pytest.mark.parametrize(
    ("fault", "operation"), [("missing_task", "Token"), ("late_row", "Retrieve"), ("error_timeout", "Wsdl")]
)
def test_a_fault_that_an_operation_cannot_have_is_refused(sandbox: SandboxProcess, fault: str, operation: str) -> None:
    fields = {"fault": fault, "operation": operation}
    reply = requests.post(f"{sandbox.url}/_sandbox/faults", json=fields, timeout=60)
    assert (reply.status_code, reply.json()) == (400, {"error": f"{fault} does not apply to {operation}"})


@pytest.mark.parametrize(
    ("fault", "text"),
    [("error_timeout", "Error: Timeout expired.  The"), ("error_43010", "Error: ImportDefinition Not Found")],
)
def test_a_refused_retrieve_has_a_text_that_begins_with_error(
    client: Conversation, sandbox: SandboxProcess, fault: str, text: str
) -> None:
    sandbox.control.add_fault(fault, operation="Retrieve", count=1)
    reply = client.retrieve("ImportDefinition", ["Name"])
    assert (reply.status, reply.elements("Results")) == (200, [])
    assert reply.text("OverallStatus").startswith(text)


def test_the_wsdl_can_be_out_of_reach(sandbox: SandboxProcess) -> None:
    sandbox.control.add_fault("http_503", operation="Wsdl", count=1)
    assert [requests.get(sandbox.wsdl_url, timeout=60).status_code for _ in range(2)] == [503, 200]


def test_a_throttled_account_gets_fault_17_until_a_minute_has_passed(
    client: Conversation, sandbox: SandboxProcess
) -> None:
    sandbox.control.add_fault("throttle", calls_per_minute=2)
    assert [_what_happens(client) for _ in range(3)] == ["OK", "OK", "17"]
    sandbox.control.advance(61)
    assert _what_happens(client) == "OK"


def test_a_late_row_is_invisible_until_its_time_has_come(client: Conversation, sandbox: SandboxProcess) -> None:
    sandbox.control.add_fault("late_row", seconds=3600)
    task = client.perform("daily").text("ID")
    wanted = equals("TaskResultID", task)
    assert client.retrieve("ImportResultsSummary", ["TaskResultID"], wanted).texts("TaskResultID") == []
    sandbox.control.advance(3601)
    assert client.retrieve("ImportResultsSummary", ["TaskResultID"], wanted).texts("TaskResultID") == [task]


def test_a_slow_run_shows_as_processing_until_its_time_has_come(client: Conversation, sandbox: SandboxProcess) -> None:
    sandbox.control.add_fault("slow_run", seconds=3600)
    task = client.perform("daily").text("ID")
    eventually(lambda: sandbox.control.performs()[0]["result"], 60, "the import is over")
    wanted = equals("TaskResultID", task)
    during = client.retrieve("ImportResultsSummary", RUN, wanted)
    sandbox.control.advance(3601)
    after = client.retrieve("ImportResultsSummary", RUN, wanted)
    assert (during.text("ImportStatus"), during.texts("EndDate")) == ("Processing", [])
    assert (after.text("ImportStatus"), after.text("TotalRows")) == ("Completed", "1")


@pytest.mark.parametrize(
    ("fault", "status", "total"),
    [
        ("status_unknown", "Unknown", "1"),
        ("status_strange", "Paused", "1"),
        ("empty_run", "Completed", "0"),
        ("error_run", "Error", "0"),
    ],
)
def test_runs_can_end_in_unusual_ways(
    client: Conversation, sandbox: SandboxProcess, fault: str, status: str, total: str
) -> None:
    sandbox.control.add_fault(fault)
    task = client.perform("daily").text("ID")
    eventually(lambda: sandbox.control.performs()[0]["result"], 60, "the run ended")
    reply = client.retrieve("ImportResultsSummary", RUN, equals("TaskResultID", task))
    assert (reply.text("ImportStatus"), reply.text("TotalRows")) == (status, total)


def test_a_truncated_answer_stops_in_the_middle_of_the_xml(client: Conversation, sandbox: SandboxProcess) -> None:
    sandbox.control.add_fault("truncated", count=1)
    host = sandbox.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=60)
    body = envelope(start("<CustomerKey>daily</CustomerKey>"), client.header())
    connection.request("POST", "/Service.asmx", body, {"SOAPAction": "Perform", "Content-Type": "text/xml"})
    with pytest.raises(http.client.IncompleteRead) as caught:
        connection.getresponse().read()
    connection.close()
    assert caught.value.partial.startswith(b"<?xml")


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ({"fault": "explode"}, "fault is 'explode': it must be one of delay, "),
        ({}, "fault is None"),
        ({"fault": "delay", "operation": "Dance"}, "operation is 'Dance'"),
        ({"fault": "delay", "count": -1}, "count is -1"),
        ({"fault": "delay", "count": "three"}, "count is 'three'"),
        ({"fault": "delay", "probability": 2}, "probability is 2"),
        ({"fault": "delay", "second": 2}, "delay has no second"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_with_a_reason(
    sandbox: SandboxProcess, rule: dict[str, object], complaint: str
) -> None:
    reply = requests.post(f"{sandbox.url}/_sandbox/faults", json=rule, timeout=60)
    assert reply.status_code == 400
    assert complaint in reply.json()["error"]
    assert sandbox.control.faults() == []


def test_rules_are_ended_one_by_one_or_all_at_once(client: Conversation, sandbox: SandboxProcess) -> None:
    with sandbox.control.fault("fault_9"):
        sandbox.control.add_fault("fault_13")
        assert len(sandbox.control.faults()) == 2
    assert [rule["fault"] for rule in sandbox.control.faults()] == ["fault_13"]
    sandbox.control.clear_faults()
    assert sandbox.control.faults() == []
    assert requests.delete(f"{sandbox.url}/_sandbox/faults/999", timeout=60).status_code == 404

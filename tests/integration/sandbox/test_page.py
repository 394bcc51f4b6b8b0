"""The page and the control API as a person or a script meets them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.support.sandbox_server import SandboxProcess
from tests.support.soap_conversation import Conversation
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    data: Path = tmp_path_factory.mktemp("data")
    with SandboxProcess(data=data) as process:
        yield process


def test_the_page_shows_definitions_runs_counts_bad_rows_and_faults(sandbox: SandboxProcess) -> None:
    client = Conversation(sandbox)
    sandbox.control.define("<b>daily", FileSpec="bad.csv", AllowErrors=True, Name="evening & morning")
    sandbox.drop("bad.csv", 'key\n1\n""\n2\n')
    assert client.perform("&lt;b&gt;daily").text("OverallStatus") == "OK"
    eventually(lambda: sandbox.control.performs()[0]["result"], 60, "the import ended")
    sandbox.control.add_fault("late_row", customer_key="weekly", count=5)
    page = requests.get(f"{sandbox.url}/_sandbox/", timeout=60)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    task = sandbox.control.performs()[0]["task_id"]
    reason = sandbox.control.bad_rows(task)[0]["reason"]
    for text in ("&lt;b&gt;daily", "evening &amp; morning", task, "Completed", "late_row", "weekly", reason):
        assert text in page.text
    assert "<b>daily" not in page.text


def test_every_fault_is_documented_on_the_page_and_as_json(sandbox: SandboxProcess) -> None:
    page = requests.get(f"{sandbox.url}/_sandbox/", timeout=60).text
    answer = requests.get(f"{sandbox.url}/_sandbox", headers={"Accept": "application/json"}, timeout=60).json()
    assert len(answer["faults"]) > 25
    for entry in answer["faults"]:
        assert entry["fault"] in page
        assert entry["meaning"]
        assert entry["strikes"]  # codespell:ignore strikes


def test_every_route_of_the_control_api_is_named_on_the_page(sandbox: SandboxProcess) -> None:
    answer = requests.get(f"{sandbox.url}/_sandbox", headers={"Accept": "application/json"}, timeout=60).json()
    named = " ".join(answer["control"])
    for route in ("health", "performs", "faults", "catalogue", "clock", "definitions", "callers", "tokens", "reset"):
        assert f"/_sandbox/{route}" in named


def test_the_clock_can_be_set_advanced_frozen_and_reset(sandbox: SandboxProcess) -> None:
    def turn(**fields: object) -> str:
        reply = requests.post(f"{sandbox.url}/_sandbox/clock", json=fields, timeout=60)
        assert reply.status_code == 200
        return str(reply.json()["time"])

    assert turn(set="2030-01-01T00:00:00Z").startswith("2030-01-01T00:00:0")
    frozen = turn(freeze=True)
    assert turn() == frozen
    assert turn(advance=3600)[:13] == "2030-01-01T01"
    assert turn(freeze=False)[:13] == "2030-01-01T01"
    assert not turn(reset=True).startswith("2030")


@pytest.mark.parametrize(
    ("path", "fields", "complaint"),
    [
        ("clock", {"set": "tomorrow"}, "set is 'tomorrow'"),
        ("clock", {"advance": "an hour"}, "advance is 'an hour'"),
        ("clock", {"advance": 1e300}, "advance"),
        ("clock", {"advance": 1e18}, "advance"),
        ("clock", {"advance": -1e12}, "advance"),
        ("clock", {"set": "9999-12-31T23:59:59Z"}, "set is '9999"),
        ("clock", {"set": "0001-01-01T00:00:00+14:00"}, "set is '0001"),
        ("clock", [], "the body must be a JSON object"),
        ("definitions", {}, "CustomerKey is required"),
        ("definitions", {"CustomerKey": "x", "Colour": 1}, "there is no property Colour"),
        ("definitions", {"CustomerKey": "x", "MaxFileAge": "old"}, "'old' is not a valid int"),
        ("definitions", {"CustomerKey": "x", "FieldMaps": 7}, "wrong shape"),
        ("definitions", {"CustomerKey": {"a": 1}}, "wrong shape"),
        ("definitions", {"CustomerKey": "x", "mid": 5}, "mid is 5"),
        ("callers", {}, "client_id and client_secret"),
        ("callers", {"client_id": "x", "permissions": ["fly"]}, "permissions has fly"),
        ("callers", {"client_id": "x", "mids": ["y"]}, "mids"),
        ("callers", {"client_id": "x", "permissions": 3}, "permissions"),
        ("system-status", {"status": "Fine"}, "status is 'Fine'"),
    ],
)
def test_a_control_request_that_makes_no_sense_is_refused_with_a_reason(
    sandbox: SandboxProcess, path: str, fields: object, complaint: str
) -> None:
    reply = requests.post(f"{sandbox.url}/_sandbox/{path}", json=fields, timeout=60)
    assert reply.status_code == 400
    assert complaint in reply.json()["error"]
    assert sandbox.control.health()["status"] == "ok"


def test_unknown_things_are_not_found(sandbox: SandboxProcess) -> None:
    for path in ("definitions/unknown", "nothing"):
        assert requests.get(f"{sandbox.url}/_sandbox/{path}", timeout=60).status_code == 404
    assert sandbox.control.bad_rows("1") == []

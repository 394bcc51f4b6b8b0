"""Whatever arrives at the token endpoints and the control API, the answer is no server error; found by generation."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sfmc_sandbox.fault_catalogue import CATALOGUE
from sfmc_sandbox.wire.schema import service_schema
from sfmc_sandbox.wire.vocabulary import OPERATIONS
from tests.support.waiting import eventually
from tests.unit.sfmc_sandbox.in_process import Answer, InProcess

RELAXED = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
JSON = {"Content-Type": "application/json"}
MEMBERS = service_schema().types["ImportDefinition"].by_name
WORDS = st.sampled_from(
    ["", "daily", "demo-client", "demo-secret", "client_credentials", "510001234", "9" * 400, "\x00", "Asia/Tokyo", "é",
     "2026-01-31T12:00:00Z", "0001-01-01", "9999-12-31T23:59:59+14:00", "*", "[", "List", "DataExtension", "hang"]
)  # fmt: skip
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), WORDS, st.text(max_size=20)
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(st.sampled_from(["xsi:type", "CustomerKey", "ID", "FieldMap", *MEMBERS]), WORDS),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=6,
)
PARAMETERS = sorted({name for kind in CATALOGUE.values() for name, _ in kind.parameters})
FIELDS = {
    "faults": ["operation", "customer_key", "object_type", "mid", "count", "probability", "seed", *PARAMETERS],
    "clock": ["set", "advance", "freeze", "reset", "zone", "before_midnight"],
    "callers": ["client_id", "client_secret", "username", "password", "permissions", "mids"],
    "system-status": ["status"],
    "tokens": ["length"],
    "definitions": ["mid", *MEMBERS],
    "reset": ["all"],
}
TOKEN_PATHS = ["/v2/token", "/v1/requestToken"]
TOKEN_FIELDS = ["grant_type", "client_id", "client_secret", "account_id", "scope", "clientId", "clientSecret"]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[InProcess]:
    with InProcess() as running:
        yield running
        eventually(lambda: not running.sandbox.runs.unfinished(), 60, "all imports ended")
        broken = [run for run in running.sandbox.runs.all() if "its log" in (run.outcome or {}).get("message", "")]
        assert broken == []


def _post(sandbox: InProcess, path: str, fields: Any) -> Answer:
    """Text that JSON cannot carry arrives escaped, as some programs send it."""
    return sandbox.ask("POST", path, json.dumps(fields).encode(), JSON)


def _goes_on(sandbox: InProcess) -> bool:
    """Whether the page, tokens and a start are still answered; all rules and settings of a test end with it."""
    sandbox.sandbox.faults.clear()
    page = sandbox.ask("GET", "/_sandbox/", b"", {})
    login = {"grant_type": "client_credentials", "client_id": "demo-client", "client_secret": "demo-secret"}
    token = _post(sandbox, "/v2/token", login)
    health = sandbox.ask("GET", "/_sandbox/health", b"", {})
    return {page.status, token.status, health.status} <= {200, 401}


@RELAXED
@given(
    fields=st.dictionaries(st.sampled_from(TOKEN_FIELDS), values),
    path=st.sampled_from(["/v2/token", "/v1/requestToken"]),
)
def test_any_request_for_a_token_is_answered(sandbox: InProcess, fields: dict[str, Any], path: str) -> None:
    assert _post(sandbox, path, fields).status in {200, 400, 401}
    form = urlencode({name: str(value) for name, value in fields.items()}, errors="replace").encode()
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert sandbox.ask("POST", path, form, kind).status in {200, 400, 401}


@RELAXED
@given(body=st.binary(max_size=200), path=st.sampled_from([*TOKEN_PATHS, "/_sandbox/faults"]))
def test_any_bytes_are_answered(sandbox: InProcess, body: bytes, path: str) -> None:
    for kind in ("application/json", "application/x-www-form-urlencoded", "text/plain; charset=utf-16"):
        assert sandbox.ask("POST", path, body, {"Content-Type": kind}).status < 500


@RELAXED
@given(data=st.data(), name=st.sampled_from(sorted(FIELDS)))
def test_any_fields_are_answered_and_the_sandbox_goes_on(sandbox: InProcess, data: st.DataObject, name: str) -> None:
    fields = data.draw(st.dictionaries(st.sampled_from(FIELDS[name]), values, max_size=4))
    if name == "faults":
        fields["fault"] = data.draw(st.one_of(st.sampled_from(sorted(CATALOGUE)), scalars))
        fields["operation"] = data.draw(st.one_of(st.sampled_from(sorted(OPERATIONS)), scalars))
    assert _post(sandbox, f"/_sandbox/{name}", fields).status < 500
    assert _goes_on(sandbox)


@RELAXED
@given(fields=st.dictionaries(st.sampled_from(sorted(MEMBERS)), values, max_size=6))
def test_any_definition_that_is_kept_can_be_started(sandbox: InProcess, fields: dict[str, Any]) -> None:
    made = _post(sandbox, "/_sandbox/definitions", {**fields, "CustomerKey": "daily"})
    if made.status == 201:
        definition = sandbox.sandbox.store.by_key("ImportDefinition", 510001234, "daily")
        assert definition is not None
        run = sandbox.sandbox.runs.add(510001234, "daily", definition.document, (0, 0), {})
        sandbox.sandbox.executor.submit(run)
    assert made.status in {201, 400}
    assert sandbox.ask("GET", "/_sandbox/definitions/daily", b"", {}).status in {200, 404}
    assert _goes_on(sandbox)


@RELAXED
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "DELETE", "PUT"]),
    path=st.sampled_from(["performs", "performs/{}/bad-rows", "definitions/{}", "faults/{}", "", "nothing/{}"]),
    inside=st.one_of(st.integers(0, 2**70).map(str), st.text(max_size=8)),
    query=st.binary(max_size=12),
)
def test_any_path_is_answered(sandbox: InProcess, method: str, path: str, inside: str, query: bytes) -> None:
    ascii_query = b"customer_key=" + query.hex().encode() + b"%ff%00&mid=" + query.hex().encode()
    assert sandbox.ask(method, f"/_sandbox/{path.format(inside)}", b"", {}, ascii_query).status < 500

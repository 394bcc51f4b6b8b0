"""The OpenAPI document says what the server does: generated requests get only the answers that it describes."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from sfmc_producers.push.forms import FORMS
from sfmc_server.application import create_app
from sfmc_server.push_source import PushSource
from tests.support.fake_client import FakeClient
from tests.support.push_servers import Letters, push_source
from tests.support.served_app import served

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def sources() -> dict[str, PushSource]:
    """One source for each form that has no signature of its own, named as the form."""
    return {form: push_source(FakeClient(), Letters(), form=form) for form in FORMS if form != "sns"}


APP = create_app(sources(), lambda: True)
OPERATIONS = [found.ok() for found in schemathesis.openapi.from_dict(APP.openapi()).get_all_operations()]


@pytest.fixture(scope="module")
def url():
    with served(APP) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: f"{each.method} {each.path}")
def test_any_request_gets_an_answer_that_is_described(operation: Any, url: str) -> None:
    @settings(max_examples=30, phases=[Phase.generate], derandomize=True, suppress_health_check=list(HealthCheck))
    @given(operation.as_strategy(), st.sampled_from([*sources(), "other"]))
    def ask(case: Any, name: str) -> None:
        if "source" in case.path_parameters:
            # Names that there are, and one that there is not.
            case.path_parameters["source"] = name
        case.call_and_validate(base_url=url, checks=CHECKS)

    ask()


def test_the_document_has_the_paths_and_every_answer_of_a_post() -> None:
    document = APP.openapi()
    assert document["openapi"].startswith("3.1")
    assert sorted(document["paths"]) == ["/events/{source}", "/healthz", "/readyz"]
    answers = document["paths"]["/events/{source}"]["post"]["responses"]
    assert sorted(answers) == ["200", "400", "401", "404", "408", "413", "415", "503"]

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import jsonschema
import pytest
import yaml

from sfmc_import.states import REPORTS, TRANSITIONS
from tests.support.event_schema import FOLDER, problems, schema

KINDS = {step.event for step in TRANSITIONS} | set(REPORTS)
SHARED = {
    "time",
    "file",
    "envelope",
    "request",
    "arrival",
    "message",
    "operation",
    "letter",
    "refresh",
    "forgotten",
    "budget",
}
ASYNCAPI: dict[str, Any] = yaml.safe_load((FOLDER / "asyncapi.yaml").read_text())
REFERENCE = {"type": "object", "required": ["$ref"], "maxProperties": 1}
SHAPE = {
    "type": "object",
    "required": ["asyncapi", "info", "channels", "operations", "components"],
    "additionalProperties": {"type": ["object", "string"]},
    "properties": {
        "asyncapi": {"const": "3.0.0"},
        "info": {"type": "object", "required": ["title", "version"]},
        "servers": {"additionalProperties": {"type": "object", "required": ["host", "protocol"]}},
        "channels": {
            "additionalProperties": {
                "type": "object",
                "required": ["address", "messages"],
                "properties": {
                    "messages": {"additionalProperties": REFERENCE},
                    "servers": {"type": "array", "items": REFERENCE},
                },
            }
        },
        "operations": {
            "additionalProperties": {
                "type": "object",
                "required": ["action", "channel"],
                "properties": {"action": {"enum": ["send", "receive"]}, "channel": REFERENCE},
            }
        },
    },
}
"""What AsyncAPI 3.0 asks of the parts that this document has."""


def references(node: Any) -> Iterator[str]:
    """Yield every $ref below a node."""
    if isinstance(node, Mapping):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for inner in node.values():
            yield from references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from references(inner)


def target(reference: str, home: Mapping[str, Any]) -> Any:
    """Walk a $ref in its document; raises KeyError when it leads nowhere."""
    file, _, path = reference.partition("#/")
    node: Any = home if not file else yaml.safe_load((FOLDER / file).read_text())
    for part in path.split("/"):
        node = node[part]
    return node


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


def test_every_reference_leads_somewhere() -> None:
    found = [(each, document) for document in (ASYNCAPI, schema()) for each in references(document)]

    assert len(found) > 60
    for reference, document in found:
        assert target(reference, document) is not None, reference


def test_every_event_of_a_life_is_described_and_no_other() -> None:
    assert set(schema()["$defs"]) - SHARED == KINDS
    assert {each["$ref"].rpartition("/")[2] for each in schema()["oneOf"]} == KINDS
    assert set(ASYNCAPI["components"]["messages"]) == KINDS
    assert set(ASYNCAPI["channels"]["events"]["messages"]) == KINDS


def test_the_document_has_the_shape_of_asyncapi() -> None:
    jsonschema.validate(ASYNCAPI, SHAPE)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_each_message_is_named_after_its_event_and_explained(kind: str) -> None:
    message = ASYNCAPI["components"]["messages"][kind]

    assert message["name"] == f"sfmc.import.{kind}"
    assert target(message["payload"]["$ref"], ASYNCAPI)["description"] == message["summary"]


STARTED: dict[str, Any] = {
    "specversion": "1.0",
    "id": "r-1/3/started",
    "source": "/sfmc-import/510001234",
    "type": "sfmc.import.started",
    "subject": "daily",
    "time": "2026-11-22T01:02:03.004Z",
    "datacontenttype": "application/json",
    "data": {
        "request_id": "r-1",
        "customer_key": "daily",
        "mid": "510001234",
        "file": None,
        "attempt": 1,
        "task_id": "4712",
        "matched": "reply",
    },
}


def test_a_right_event_has_no_problem() -> None:
    assert problems([STARTED]) == []


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("time", "2026-11-22 01:02:03", "does not match"),
        ("source", "somewhere", "does not match"),
        ("type", "sfmc.import.finished", "no schema for"),
        ("type", "sfmc.import.completed", "does not name: ['matched']"),
        ("specversion", "0.3", "was expected"),
    ],
)
def test_a_wrong_envelope_is_found(field: str, value: str, problem: str) -> None:
    assert any(problem in line for line in problems([STARTED | {field: value}]))


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("task_id", None, "is not of type"),
        ("matched", "guessed", "is not one of"),
        ("attempt", "1", "is not of type"),
        ("file", {"name": "a.csv"}, "is not valid"),
        ("colour", "red", "does not name: ['colour']"),
    ],
)
def test_wrong_data_are_found(field: str, value: Any, problem: str) -> None:
    event = deepcopy(STARTED)
    event["data"][field] = value

    assert any(problem in line for line in problems([event]))


def test_an_event_without_its_task_is_found() -> None:
    event = deepcopy(STARTED)
    del event["data"]["task_id"]

    assert any("'task_id' is a required property" in line for line in problems([event]))

"""Holds events against the published schema; reads the stream, changes nothing."""

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import redis

FOLDER = Path(__file__).parents[2] / "ops" / "events"
STREAMS = "*:events"
MAX_CHECKED = 2000
"""Events checked after one test: models make many thousands, all of the same few shapes."""


@cache
def schema() -> dict[str, Any]:
    """The published schema."""
    document: dict[str, Any] = json.loads((FOLDER / "events.schema.json").read_text())
    return document


@cache
def validator(kind: str) -> jsonschema.Draft202012Validator:
    """What judges events of one kind, such as started."""
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": schema()["$defs"]})


@cache
def documented_fields(kind: str) -> frozenset[str]:
    """The fields of `data` that the schema names for one kind; readers may meet others, we may not write them."""
    data = schema()["$defs"][kind]["properties"]["data"]
    shared = schema()["$defs"][data.get("allOf", [data])[0]["$ref"].rpartition("/")[2]]["properties"]
    return frozenset(shared) | frozenset(data.get("properties", ()))


def problems(events: Iterable[Mapping[str, Any]]) -> list[str]:
    """Say what is wrong with events, one line each: not of the schema, or with a field it does not name."""
    found: list[str] = []
    for event in events:
        kind = str(event.get("type")).removeprefix("sfmc.import.")
        if kind not in schema()["$defs"]:
            found.append(f"{event.get('id')}: no schema for {event.get('type')}")
            continue
        found += [
            f"{event['id']}: {error.message} at {error.json_path}" for error in validator(kind).iter_errors(event)
        ]
        unnamed = set(event["data"]) - documented_fields(kind)
        found += [f"{event['id']}: fields the schema does not name: {sorted(unnamed)}"] if unnamed else []
    return found


def problems_in(client: redis.Redis) -> list[str]:
    """Look at the newest events of every stream of this server."""
    found: list[str] = []
    names: Any = client.scan_iter(match=STREAMS, _type="stream")
    for name in names:
        entries: Any = client.xrevrange(name, count=MAX_CHECKED)
        texts = (fields.get(b"event") or fields.get("event") for _, fields in entries)
        found += problems(json.loads(text) for text in texts if text is not None)
    return found

"""Renders ops/commands.schema.json: what each command prints with --json, as JSON Schema."""

import json
from typing import Any

from pydantic.json_schema import models_json_schema

from sfmc_import.operations.folders import WaitingFileView
from sfmc_import.operations.forgetting import ForgottenView
from sfmc_import.operations.listing import DeadLetterView
from sfmc_import.operations.refreshing import RefreshedView
from sfmc_import.operations.runs import RunView
from sfmc_import.operations.status import StandingView, StatusView, UnmatchedView
from sfmc_import.operations.usage import UsageView
from sfmc_import.operations.views import (
    ActionView,
    DoneView,
    ExplainedView,
    FolderView,
    LifeView,
    NotDoneView,
    PauseView,
    RequestView,
    ResumedView,
    View,
)

COMMANDS: dict[str, type[View]] = {
    "status": StatusView,
    "status KEY": StandingView,
    "status --unmatched": UnmatchedView,
    "folders list": FolderView,
    "folders forget": ForgottenView,
    **dict.fromkeys(("status --failures", "status --unfinished"), RequestView),
    **dict.fromkeys(("cancel", "force", "settle", "replay", "resolve"), ActionView),
    "pause": PauseView,
    "resume": ResumedView,
    "definitions refresh": RefreshedView,
    "runs": RunView,
    **dict.fromkeys(("dead-letters", "dead-letters show"), DeadLetterView),
    "explain": ExplainedView,
    "usage": UsageView,
}

EVENT = {
    "type": "object",
    "description": "A CloudEvent, as ops/events/events.schema.json says.",
    "required": ["specversion", "type", "subject", "time", "id", "source", "data"],
    "properties": {"data": {"type": "object"}},
}
CHANGED = {
    "description": "What became of one dead letter.",
    "anyOf": [{"$ref": f"#/$defs/{view.__name__}"} for view in (DoneView, NotDoneView)],
}
PLAIN: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("dead-letters replay", "dead-letters delete"), CHANGED),
    "show": {
        "description": "A request; of a file that has none yet and waits in a watched folder, where and why.",
        "anyOf": [{"$ref": f"#/$defs/{view.__name__}"} for view in (LifeView, WaitingFileView)],
    },
    "follow": EVENT,
    "events": {
        **EVENT,
        "description": f"{EVENT['description']} `stream_id` is its place in the stream.",
        "required": [*EVENT["required"], "stream_id"],
    },
    "pause --list": {"type": "array", "items": {"$ref": "#/$defs/PauseView"}},
    "start": {
        "type": "object",
        "description": "The first line; with --wait the events of the request follow, as `follow` prints them.",
        "required": ["request_id", "customer_key", "is_new", "workers", "beats"],
        "additionalProperties": False,
        "properties": {
            "request_id": {"type": "string"},
            "customer_key": {"type": "string"},
            "is_new": {"type": "boolean"},
            "workers": {"type": ["integer", "null"]},
            "beats": {"type": ["integer", "null"]},
        },
    },
}


def render() -> str:
    """Give the document; `properties` has one schema for each command, for one line of its output."""
    views: list[type[View]] = list(
        dict.fromkeys((*COMMANDS.values(), LifeView, WaitingFileView, DoneView, NotDoneView))
    )
    _, found = models_json_schema([(view, "serialization") for view in views], ref_template="#/$defs/{model}")
    named = {name: {"$ref": f"#/$defs/{view.__name__}"} for name, view in COMMANDS.items()}
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What the commands of sfmc-import print with --json",
        "description": "Each property is a command; its schema is that of one line. The HTTP API answers with the same"
        " shapes. Written by `python -m sfmc_harness.pages`.",
        "type": "object",
        "properties": dict(sorted({**named, **PLAIN}.items())),
        "$defs": found["$defs"],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"

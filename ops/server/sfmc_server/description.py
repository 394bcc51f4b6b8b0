"""What the OpenAPI document says beside the paths: bodies, answers, how senders show who they are."""

from typing import Any

from fastapi import FastAPI

TEXT = "Starts imports, says why they wait, and takes what file stores and event buses post. Problems as in RFC 9457."

_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_RETRY_AFTER = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}
_SOURCE = {
    "name": "source",
    "in": "path",
    "required": True,
    "description": "The name of a [[source]] of kind push.",
    "schema": {"type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,39}$"},
}


def _problem(text: str, headers: dict[str, Any] | None = None) -> dict[str, Any]:
    answer = {"description": text, "content": {"application/problem+json": {"schema": _PROBLEM}}}
    return answer | ({"headers": headers} if headers else {})


def described_problem(text: str) -> dict[str, Any]:
    """Describe an answer that is a problem, for the document."""
    return _problem(text)


def _json(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


_COUNT = {"type": "integer", "minimum": 0}
_TAKEN = _object(taken=_COUNT, ignored=_COUNT, set_aside=_COUNT)
_VALIDATED = _object(validationResponse={"type": "string"})
_STATUS = _object(status={"const": "ok"})
_LATER = _problem("Not now: the ledger is away, or too much is worked on. Post it again.", _RETRY_AFTER)
_UNKNOWN = _problem("There is no such source.")
_LOGIN = {"WWW-Authenticate": {"description": "Bearer.", "schema": {"type": "string"}}}
_ANY: dict[str, Any] = {"schema": {}}
_BODIES = dict.fromkeys(
    (
        "application/json",
        "application/cloudevents+json",
        "application/cloudevents-batch+json",
        "text/plain",
        "application/octet-stream",
    ),
    _ANY,
)

POST: dict[str, Any] = {
    "operationId": "post_events",
    "summary": "Take events",
    "description": "Answers 200 once each event is in the ledger, starts nothing, or is set aside.",
    "responses": {
        "200": _json(
            "Everything is taken, or the handshake of Event Grid is answered.", {"anyOf": [_TAKEN, _VALIDATED]}
        ),
        "400": _problem("It can never be taken: it cannot be unpacked, or headers are missing."),
        "401": _problem("It is not from the sender.", _LOGIN),
        "404": _UNKNOWN,
        "408": _problem("The body did not arrive in time."),
        "413": _problem("The body is too large, as it was sent or unpacked, or has too many events."),
        "415": _problem("It is of another form, or packed in another way."),
        "503": _LATER,
    },
    "parameters": [_SOURCE],
    "requestBody": {"required": False, "content": _BODIES},
    "security": [{"bearer": []}, {"token": []}, {"webhook": []}, {"signature": []}, {}],
}

_TEXT_HEADER = {"schema": {"type": "string"}}

OPTIONS: dict[str, Any] = {
    "operationId": "ask_for_events",
    "summary": "Answer the handshake of CloudEvents",
    "responses": {
        "200": _json("The origin may post.", {"type": "object", "maxProperties": 0})
        | {
            "headers": {
                "Allow": _TEXT_HEADER,
                "WebHook-Allowed-Origin": _TEXT_HEADER,
                "WebHook-Allowed-Rate": _TEXT_HEADER,
            }
        },
        "403": _problem("The origin may not post."),
        "404": _UNKNOWN,
    },
    "parameters": [_SOURCE, {"name": "WebHook-Request-Origin", "in": "header", "required": False, **_TEXT_HEADER}],
    "security": [{}],
}

HEALTHZ: dict[str, Any] = {"summary": "Say that the process answers", "responses": {200: _json("It does.", _STATUS)}}
READYZ: dict[str, Any] = {
    "summary": "Say whether events can be taken",
    "responses": {200: _json("They can.", _STATUS), 503: _LATER},
}

_COMPONENTS = {
    "schemas": {
        "Problem": {
            "type": "object",
            "required": ["type", "title", "status"],
            "properties": {
                "type": {"type": "string", "format": "uri-reference"},
                "title": {"type": "string"},
                "status": {"type": "integer", "minimum": 400, "maximum": 599},
                "detail": {"type": "string"},
                "errors": {"type": "array", "items": {"type": "object"}},
            },
        }
    },
    "securitySchemes": {
        "bearer": {"type": "http", "scheme": "bearer", "description": "A token, or a JWT of Google."},
        "token": {"type": "apiKey", "in": "query", "name": "access_token", "description": 'With token_in = "query".'},
        "webhook": {"type": "apiKey", "in": "header", "name": "webhook-signature", "description": "Standard Webhooks."},
        "signature": {"type": "apiKey", "in": "header", "name": "X-Hub-Signature-256", "description": "HMAC-SHA256."},
    },
}


class DescribedApp(FastAPI):
    """An application whose document has what is described here."""

    def openapi(self) -> dict[str, Any]:
        """Give the document; routes that come later are in it too."""
        document = super().openapi()
        document["paths"]["/events/{source}"] = {"post": POST, "options": OPTIONS}
        schemas = document.get("components", {}).get("schemas", {})
        # Where a proxy serves us below a path, a client that reads this would not find us without it.
        document["servers"] = [{"url": getattr(self.state, "prefix", "") or "/"}]
        document["components"] = _COMPONENTS | {"schemas": schemas | _COMPONENTS["schemas"]}
        return document

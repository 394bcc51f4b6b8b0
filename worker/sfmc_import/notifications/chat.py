"""Messages to Slack and Teams: each text stands where the other side shows it as it is."""

from collections.abc import Mapping
from typing import Any

import orjson

from sfmc_import.notifications.messages import Message
from sfmc_import.notifications.posting import Poster
from sfmc_import.notifications.sending import NotSent, Sent

MAX_SECTION = 3000
MAX_BLOCKS = 50
MAX_CARD_BYTES = 27_000
"""Teams takes 28 KB in all."""

CUT = "… the rest is left out"


class Slack:
    """An incoming webhook of Slack."""

    def __init__(self, poster: Poster) -> None:
        self._poster = poster

    def send(self, message: Message) -> Sent | NotSent:
        """Post it; Slack answers `ok`."""
        return self._poster.send(orjson.dumps(slack_message(message)), {})


def slack_message(message: Message) -> dict[str, Any]:
    """Write a message for Slack: one section a line, because a section holds 3,000 characters."""
    texts = [f"*{escaped(message.title)}*", *map(escaped, message.lines)]
    if len(texts) > MAX_BLOCKS:
        texts = [*texts[: MAX_BLOCKS - 1], CUT]
    return {"text": escaped(message.title), "blocks": [_section(each) for each in texts]}


def escaped(text: str) -> str:
    """Escape what Slack reads as a link, a mention or a call of the whole channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _section(text: str) -> dict[str, Any]:
    # verbatim: nothing in it becomes a link or a mention by itself.
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:MAX_SECTION], "verbatim": True}}


class Teams:
    """A workflow of Teams that is started by a POST and shows a card."""

    def __init__(self, poster: Poster) -> None:
        self._poster = poster

    def send(self, message: Message) -> Sent | NotSent:
        """Post it; the workflow answers 202 before it has run."""
        return self._poster.send(teams_message(message), {})


def teams_message(message: Message) -> bytes:
    """Write a message for Teams, with as many lines as it takes."""
    lines = list(message.lines)
    body = _card(message.title, lines)
    while len(body) > MAX_CARD_BYTES and lines:
        lines = lines[: len(lines) * 3 // 4]
        body = _card(message.title, [*lines, CUT])
    return body


def _card(title: str, lines: list[str]) -> bytes:
    blocks = [_text(title, weight="Bolder"), *(_text(each) for each in lines)]
    schema = "http://adaptivecards.io/schemas/adaptive-card.json"
    content = {"$schema": schema, "type": "AdaptiveCard", "version": "1.4", "body": blocks}
    card = {"contentType": "application/vnd.microsoft.card.adaptive", "content": content}
    return orjson.dumps({"type": "message", "attachments": [card]})


def _text(text: str, **style: str) -> Mapping[str, Any]:
    # A TextBlock would read Markdown in it: a link, a picture. A TextRun shows what it has.
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **style}]}

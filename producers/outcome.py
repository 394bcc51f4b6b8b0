"""Shows a person or a program how one request goes on and ends, and turns its end into an exit code."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import click

from producers.publish import Receipt
from worker.door import COMPLETED, TERMINAL

TOLD = ("task_id", "import_status", "why", "held_by", "superseded_by", "window_opens", "code", "text", "candidates")
COUNTS = ("rows_total", "rows_successful", "rows_duplicated", "rows_failed")


class Printer:
    """Prints to standard output: sentences, or with `as_json` one JSON object a line."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def receipt(self, receipt: Receipt, customer_key: str) -> None:
        """Say that the request is recorded."""
        fields = {"request_id": receipt.request_id, "customer_key": customer_key, "is_new": receipt.is_new}
        self._print(fields, f"recorded: request {receipt.request_id} for {customer_key}")

    def follow(self, events: Iterable[Mapping[str, Any]], request_id: str, within: float | None) -> int:
        """Print each event; 0 if the last says that the import completed, else 1 and a closing line that says why."""
        last = ""
        for event in events:
            last = event["type"].rpartition(".")[2]
            self._print(event, _sentence(last, event["data"]))
        if last not in TERMINAL:
            limit = "its events are no longer known" if within is None else f"no end within {within:g} s"
            self._close(f"request {request_id}: {limit}; it goes on: see 'sfmc-import status'")
            return 1
        ended = "completed" if last in COMPLETED else "not completed"
        self._close(f"request {request_id}: {ended} ({last})")
        return 0 if last in COMPLETED else 1

    def _print(self, fields: Mapping[str, Any], sentence: str) -> None:
        click.echo(json.dumps(fields, default=str) if self._as_json else sentence)

    def _close(self, sentence: str) -> None:
        # With JSON the lines on standard output stay events; the closing line is for the person beside them.
        click.echo(sentence, err=self._as_json)


def _sentence(name: str, data: Mapping[str, Any]) -> str:
    told = [f"{field} {data[field]}" for field in (*TOLD, *COUNTS) if data.get(field) is not None]
    return ", ".join([name, *told])

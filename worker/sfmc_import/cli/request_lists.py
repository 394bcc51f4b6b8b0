"""`sfmc-import status --failures` and `--unfinished`: every request of a list, page by page."""

from collections.abc import Iterator, Mapping
from typing import Any

import click

from sfmc_import.cli.output import print_json, print_line, print_lines
from sfmc_import.cli.requests_shown import table_lines
from sfmc_import.operations.business_units import are_several
from sfmc_import.operations.protocol import Operations
from sfmc_import.operations.views import RequestView

PAGE = 500
WORDS: Mapping[str, str] = {"failures": "ended badly", "unfinished": "unfinished"}


def print_list(operations: Operations, name: str, key: str | None, mid: str | None, *, as_json: bool) -> None:
    """Print each request of a list, of all or of a definition or business unit; then how many there are."""
    count, now = 0, operations.now()
    first, with_mid = list[RequestView](), False
    for page in _pages(operations, {"list": name, "customer_key": key, "mid": mid}):
        with_mid = with_mid or are_several(first, page)
        first, count = first or page[:1], count + len(page)
        for view in page:
            if as_json:
                print_json(view.model_dump(mode="json"))
            else:
                print_lines(table_lines(view, now, with_mid=with_mid))
    if not as_json:
        print_line(f"{WORDS[name]}: {count}")


def _pages(operations: Operations, query: Mapping[str, Any]) -> Iterator[list[RequestView]]:
    cursor: str | None = None
    while True:
        page = operations.requests(**query, cursor=cursor, limit=PAGE)
        if page.hint:
            raise click.ClickException(page.hint)
        yield page.items
        if page.next in {None, cursor}:
            return
        cursor = page.next

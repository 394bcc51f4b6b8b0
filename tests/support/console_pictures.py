"""Makes pictures of the console: `python -m tests.support.console_pictures FOLDER [NAME …]`; `docs` for its page."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

from sfmc_local.redis_server import Valkey
from tests.support.browser import browser
from tests.support.console import World, console_over
from tests.support.console_data import busy, past_day, run_processes, watch
from tests.support.served_app import served

PAGES = {
    "overview": "/",
    "request": "/request?id={deferred}",
    "failed": "/request?id={failed}",
    "settle": "/request/settle?id={failed}",
    "settled": "/request?id={settled}",
    "requests": "/requests",
    "definition": "/definition?mid=510001234&customer_key=Daily_Orders",
    "definitions": "/definitions",
    "resolve": "/request/resolve?id={unknown}",
    "unmatched": "/unmatched",
    "letters": "/dead-letters",
    "pauses": "/pauses",
    "search": "/search?q=Daily",
    "start": "/start?customer_key=Daily_Orders",
    "start_again": "/request/start?id={rejected}",
    "forget": "/folders/forget?location=%2Fdrop%2Fold",
    "login": "/login",
}
DOCS = (
    ("overview", "overview", "light", 1180, 1000),
    ("resolve", "resolve", "light", 760, 620),
    ("request-narrow", "request", "dark", 360, 860),
    ("definition-narrow", "definition", "light", 360, 860),
)
"""Name, page, scheme, width and height of those in ops/docs/console."""

SIZES = {"wide": (1280, 800), "narrow": (360, 740)}


@contextmanager
def sample() -> Iterator[tuple[World, str, dict[str, str]]]:
    """Serve a console with a day behind it; gives its world, its address and the requests by their state."""
    with Valkey() as server, console_over(server.url) as world:
        past_day(world.access)
        requests = busy(world.access)
        watch(world.access)
        with served(world.app) as port:
            yield world, f"http://127.0.0.1:{port}", requests


def log_in(page: Any, url: str, token: str) -> None:
    """Fill in the login."""
    page.goto(f"{url}/login")
    page.fill("#token", token)
    page.click("button")
    page.wait_for_selector("h1")


def for_docs(folder: Path) -> None:
    """Make those of ops/docs/console."""
    with sample() as (world, url, requests), browser() as running:
        for name, page_name, scheme, wide, high in DOCS:
            page = running.new_page(viewport={"width": wide, "height": high}, color_scheme=scheme)
            log_in(page, url, world.tokens["operator"])
            page.wait_for_timeout(1500)
            run_processes(world.access)
            page.goto(url + PAGES[page_name].format(**requests))
            page.wait_for_selector("#live:text('Live')")
            page.screenshot(path=folder / f"{name}.png", full_page=name == "overview")


def main(folder: Path, only: list[str]) -> None:
    """Make them, each wide and narrow, light and dark."""
    folder.mkdir(parents=True, exist_ok=True)
    if only == ["docs"]:
        for_docs(folder)
        return
    with sample() as (world, url, requests), browser() as running:
        for size, scheme in product(SIZES, ("light", "dark")):
            wide, high = SIZES[size]
            context = running.new_context(viewport={"width": wide, "height": high}, color_scheme=scheme)
            page = context.new_page()
            page.on("console", lambda said: print("browser:", said.text))  # noqa: T201
            log_in(page, url, world.tokens["operator"])
            page.wait_for_timeout(1500)
            for name in only or PAGES:
                run_processes(world.access)
                page.goto(url + PAGES[name].format(**requests))
                page.wait_for_timeout(300)
                page.screenshot(path=folder / f"{name}-{size}-{scheme}.png", full_page=True)
            context.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])

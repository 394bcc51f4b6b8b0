"""A real browser for the tests of the console: Chromium, driven by playwright; skipped where one is missing."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PLACES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def program() -> str | None:
    """Give the path of the browser; None without one. SFMC_TEST_BROWSER names another."""
    return os.environ.get("SFMC_TEST_BROWSER") or next(filter(None, map(shutil.which, PLACES)), None)


def axe() -> Path | None:
    """Give the file of the rules of axe-core: AXE_CORE, or where `npm install axe-core` puts it; None without it."""
    given = os.environ.get("AXE_CORE")
    found = Path(given) if given else ROOT / "node_modules" / "axe-core" / "axe.min.js"
    return found if found.is_file() else None


def missing() -> str | None:
    """Say why no browser can be driven; None where one can."""
    try:
        import playwright.sync_api  # noqa: F401, PLC0415 - it may be missing
    except ImportError:
        return "playwright is not installed: uv pip install -r ops/locks/browser.lock"
    return None if program() else "there is no Chromium: apt-get install chromium"


@contextmanager
def browser() -> Iterator[Any]:
    """Run the browser."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - it may be missing

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program(), args=list(OPTIONS))
        try:
            yield running
        finally:
            running.close()

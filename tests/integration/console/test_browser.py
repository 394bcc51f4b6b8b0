"""The console in Chromium: rules of accessibility, narrow and dark, by keyboard, live, and over an outage."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.browser import axe, browser, missing
from tests.support.console import MID, World, console_over
from tests.support.console_data import busy, past_day, watch
from tests.support.served_app import served

WHY = missing()
pytestmark = pytest.mark.skipif(WHY is not None, reason=WHY or "")

PAGES = (
    "/", "/requests", "/requests?list=failures", "/request?id={deferred}", "/request?id={failed}",
    "/request?id={bad_name}", "/request/resolve?id={unknown}", "/request/replay?id={done}", "/definitions",
    "/definitions?list=all",
    f"/definition?mid={MID}&customer_key=Daily_Orders", "/unmatched", "/dead-letters", "/pauses", "/pause",
    f"/pause?mid={MID}&customer_key=Stock_Levels", "/search?q=Daily", "/search?q=nothing", "/start", "/request?id=none",
    "/requests?mid=abc", "/request/start?id={rejected}", "/folders/forget?location=%2Fdrop%2Fold",
)  # fmt: skip


@dataclass(frozen=True)
class Site:
    """A console with much in it, and a browser."""

    world: World
    url: str
    found: dict[str, str]
    browser: Any

    def page(self, **options: Any) -> Any:
        """Open a window and log in."""
        page = self.browser.new_context(**options).new_page()
        page.said = []
        page.on("console", lambda message: page.said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.goto(f"{self.url}/login")
        page.fill("#token", self.world.tokens["operator"])
        page.press("#token", "Enter")
        page.wait_for_selector("h1:text('Overview')")
        return page


@pytest.fixture
def site(redis_server) -> Iterator[Site]:
    with console_over(redis_server.url) as world, served(world.app) as port, browser() as running:
        past_day(world.access)
        found = busy(world.access)
        watch(world.access)
        world.console.feed.read()
        yield Site(world, f"http://127.0.0.1:{port}", found, running)


def open_all(site: Site, page: Any) -> Iterator[str]:
    for path in PAGES:
        page.goto(site.url + path.format(**site.found))
        yield path


@pytest.mark.skipif(axe() is None, reason="axe-core is missing: npm install --no-save axe-core, or name it in AXE_CORE")
def test_no_page_breaks_a_rule_of_accessibility_in_light_or_dark(site: Site) -> None:
    rules = axe()
    assert rules is not None
    wrong = []
    for scheme in ("light", "dark"):
        page = site.page(color_scheme=scheme, bypass_csp=True)
        for path in open_all(site, page):
            page.add_script_tag(path=str(rules))
            passed, found = page.evaluate("axe.run().then(done => [done.passes.length, done.violations])")
            assert passed > 15, path
            wrong += [f"{scheme} {path}: {each['id']} {each['nodes'][0]['html'][:200]}" for each in found]
    assert wrong == []


def test_no_page_is_wider_than_a_small_screen_or_prints_wider_than_paper(site: Site) -> None:
    page = site.page(viewport={"width": 360, "height": 740})
    wide = "document.documentElement.scrollWidth"
    assert [path for path in open_all(site, page) if page.evaluate(wide) > 360] == []

    page.emulate_media(media="print")
    page.set_viewport_size({"width": 720, "height": 1000})
    assert [path for path in open_all(site, page) if page.evaluate(wide) > 720] == []
    assert not page.is_visible("nav")


def test_no_page_runs_what_the_policy_of_content_forbids_or_what_a_name_contains(site: Site) -> None:
    page = site.page()
    page.on("dialog", lambda dialog: page.said.append(f"dialog {dialog.message}"))
    hosts = set()
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    for path in open_all(site, page):
        page.wait_for_load_state()
        assert [text for text in page.said if "status of 4" not in text] == [], path
    assert hosts == {site.url.removeprefix("http://")}


def test_everything_is_done_by_keyboard(site: Site) -> None:
    page = site.page()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Go to the content"
    page.keyboard.press("Enter")
    page.goto(f"{site.url}/request?id={site.found['queued']}")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Cancel":
            break
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:text('Cancel?')")
    page.focus("#reason")
    page.keyboard.type("wrong file")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=The request is cancelled.")


def test_an_open_page_shows_what_is_new_and_the_focus_stays(site: Site) -> None:
    page = site.page()
    page.wait_for_selector("#live:text('Live')")
    page.focus("main a.button")
    before = page.evaluate("document.activeElement.href")
    site.world.submit("Brand_New", "brand new.csv")

    page.wait_for_selector("main >> text=brand new.csv", timeout=20_000)
    assert page.evaluate("document.activeElement.href") == before


def test_a_form_that_is_being_filled_in_is_left_alone(site: Site) -> None:
    page = site.page()
    page.goto(f"{site.url}/requests")
    page.wait_for_selector("#live:text('Live')")
    page.fill("#f-key", "Daily")
    site.world.submit("Brand_New", "brand new.csv")

    page.wait_for_selector("#live:text('Something is new')", timeout=20_000)
    assert page.input_value("#f-key") == "Daily"


def test_the_focus_is_on_the_field_that_is_wrong_and_its_error_is_read_with_it(site: Site) -> None:
    page = site.page(viewport={"width": 360, "height": 740})
    page.goto(f"{site.url}/pause?mid={MID}&customer_key=Stock_Levels")
    page.fill("#reason", "columns change")
    page.fill("#duration", "0m")
    page.click("button:text('Pause')")
    page.wait_for_selector("#duration-wrong")

    assert page.evaluate("document.activeElement.id") == "duration"
    assert page.input_value("#reason") == "columns change"
    assert page.get_attribute("#duration", "aria-describedby") == "duration-wrong"
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_page_without_scripts_shows_and_does_everything(site: Site) -> None:
    page = site.page(java_script_enabled=False)
    assert page.is_visible("text=Not live: reload to see what is new")
    page.goto(f"{site.url}/request/cancel?id={site.found['queued']}")
    page.click("button:text('Cancel')")
    assert page.is_visible("text=The request is cancelled.")


def test_an_open_page_says_that_redis_is_away_and_comes_back_by_itself(own_valkey) -> None:
    with console_over(own_valkey.url) as world, served(world.app) as port, browser() as running:
        page = Site(world, f"http://127.0.0.1:{port}", {}, running).page()
        page.wait_for_selector("#live:text('Live')")
        own_valkey.kill()
        page.wait_for_selector("#away:visible", timeout=30_000)
        page.wait_for_selector("#live:text('Not live: Redis does not answer')", timeout=20_000)
        own_valkey.restart()
        page.wait_for_selector("#away", state="hidden", timeout=30_000)
        world.submit("After", "after.csv")
        page.wait_for_selector("main >> text=after.csv", timeout=20_000)

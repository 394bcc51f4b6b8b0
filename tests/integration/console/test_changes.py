"""Open pages learn that something is new, over an outage of Redis too."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable

import pytest

from sfmc_import.operations import tokens
from sfmc_server.console import changes
from sfmc_server.console.login import COOKIE, Visitor
from tests.support.console import Person, World, console_over
from tests.support.waiting import eventually


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    monkeypatch.setattr(changes, "TICK_SECONDS", 0.01)
    monkeypatch.setattr(changes, "QUIET_SECONDS", 0.05)
    monkeypatch.setattr(changes, "LOGIN_SECONDS", 0.05)


class Listener:
    """What one page hears."""

    def __init__(self, world: World, person: Person, last: str | None = None) -> None:
        visitor = world.console._login.visitor({COOKIE: person.cookies[COOKIE]})
        assert isinstance(visitor, Visitor)
        self.stream = world.console._changes.follow(visitor, last)
        self.world = world
        assert self.hear(b"") == b"retry: 2000\n\n"

    def hear(self, wanted: bytes) -> bytes:
        """Wait for a message with a text in it."""
        return self.world.http.run(asyncio.wait_for(_next(self.stream, lambda text: wanted in text), 20))


async def _next(stream: AsyncIterator[bytes], is_wanted: Callable[[bytes], bool]) -> bytes:
    async for message in stream:
        if is_wanted(message):
            return message
    return b"the end"


def test_a_page_hears_of_a_new_event_and_later_goes_on_from_it(world: World) -> None:
    person = world.person("viewer")
    person.see("/")
    eventually(lambda: world.console.feed.is_whole, 20, "the feed has read")
    page = Listener(world, person)
    world.submit()
    world.console.feed.read()
    message = page.hear(b"event: change")
    last = message.partition(b"\n")[0].removeprefix(b"id: ").decode()

    again = Listener(world, person, last)
    assert again.hear(b"") == b": nothing new\n\n"
    world.submit(name="second.csv")
    world.console.feed.read()
    assert again.hear(b"event: change") != message


def test_a_page_that_missed_something_since_it_was_made_hears_it_at_once(world: World) -> None:
    person = world.person("viewer")
    world.submit()
    world.console.feed.read()
    found = re.search(r'data-changes="/console/changes\?since=(\d+-\d+)"', person.see("/").text)
    assert found
    world.submit(name="second.csv")
    world.console.feed.read()

    assert b"event: change" in Listener(world, person, found[1]).hear(b"event")


def test_a_page_whose_login_is_over_is_sent_to_the_login(world: World) -> None:
    person = world.person("viewer")
    page = Listener(world, person)
    tokens.revoke(world.access, "eve")

    assert b"event: ended" in page.hear(b"event: ended")
    assert person.see("/console/changes").status_code == 401


def test_a_page_whose_login_is_over_is_sent_to_the_login_while_news_come_in_without_a_pause(world: World) -> None:
    person = world.person("viewer")
    feed = Always()
    follow = changes.Changes(feed, world.console._login, lambda: False).follow  # type: ignore[arg-type]
    visitor = world.console._login.visitor({COOKIE: person.cookies[COOKIE]})
    assert isinstance(visitor, Visitor)
    stream = follow(visitor, None)
    tokens.revoke(world.access, "eve")

    assert b"event: ended" in world.http.run(asyncio.wait_for(_next(stream, lambda text: b"ended" in text), 20))


class Always:
    """A feed that has news at each look."""

    is_away, is_whole, number = False, True, 0

    @property
    def position(self) -> str:
        self.number += 1
        return f"{self.number}-0"


def api_says_since_when(world: World) -> str:
    asked = {"authorization": f"Bearer {world.tokens['viewer']}"}
    first, second = (world.http.request("GET", "/v1/status", headers=asked).json()["detail"] for _ in range(2))
    begin = (
        "the server cannot do it now: Redis does not answer (start it); try again; it answered this server last at 20"
    )
    assert (first.startswith(begin), first == second) == (True, True)
    return first.rpartition("; ")[2]


def test_while_redis_is_away_the_pages_say_so_and_come_back_by_themselves(own_valkey) -> None:
    with console_over(own_valkey.url) as world:
        person = world.person("operator")
        request = world.submit()
        person.see("/")
        feed = world.console.feed
        eventually(lambda: feed.is_whole, 20, "the feed has read")
        page = Listener(world, person)
        own_valkey.kill()
        eventually(lambda: feed.is_away, 30, "the feed notices that Redis is away")

        for path in ("/", f"/request?id={request}", "/unmatched", "/login"):
            answer = person.see(path)
            assert answer.status_code == (200 if path == "/login" else 503)
        away = person.see("/")
        assert ("Redis does not answer" in away.text, away.headers["retry-after"]) == (True, "5")
        assert '<meta http-equiv="refresh" content="5">' in away.text
        assert "watchers keep their files" in away.text
        assert "To do: start Redis" in away.text
        assert f"Since when: {api_says_since_when(world)}." in away.text
        refused = person.ask("POST", f"/request/cancel?id={request}", data={"csrf": "x"})
        assert (refused.status_code, "Nothing was changed" in refused.text) == (503, True)
        assert 'http-equiv="refresh"' not in refused.text
        assert b"event: away" in page.hear(b"event: away")

        own_valkey.restart()
        eventually(lambda: not feed.is_away, 30, "the feed reads again")
        assert b"event: change" in page.hear(b"event: change")


def test_a_redis_that_refuses_the_login_is_said_so_by_console_and_api(own_valkey) -> None:
    with console_over(own_valkey.url) as world:
        person = world.person("viewer")
        world.access.client.config_set("requirepass", "another")
        world.access.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no")
        asked = {"authorization": f"Bearer {world.tokens['viewer']}"}
        detail = world.http.request("GET", "/v1/status", headers=asked).json()["detail"]
        page = person.see("/")

    fix = "check user and password in SFMC_REDIS_URL"
    assert detail.startswith(f"the server cannot do it now: Redis refuses the login ({fix}")
    assert (page.status_code, "<h1>Redis refuses the login</h1>" in page.text, fix in page.text) == (503, True, True)
    assert "does not answer" not in detail + page.text
    assert "start Redis" not in page.text

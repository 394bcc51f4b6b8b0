"""What `doctor` says where commands use the HTTP API: whether it answers, knows the token, and what runs there."""

from typing import Any

import httpx
import pytest

from sfmc_import.api_client import ApiClient
from sfmc_import.cli.doctor_api import check_api
from sfmc_import.redis_server import Finding
from tests.unit.sfmc_import.api_client.test_calls_of_the_api import TOKEN, Server, no_time, problem

URL = "https://api.test"
ALL_RUN = {"now": "2026-03-07T12:00:00Z", "workers": 2, "beats": 1, "missing": [], "late": []}


def findings(*answers: httpx.Response | Exception, url: str = URL) -> list[Finding]:
    with ApiClient(url, TOKEN, transport=httpx.MockTransport(Server(*answers)), chance=no_time) as api:
        return list(check_api(api))


def nothing_else() -> httpx.Response:
    """As a token may be answered that only submits."""
    return problem(403, "forbidden")


def running(**more: Any) -> httpx.Response:
    return httpx.Response(200, json=ALL_RUN | more)


def test_an_api_that_answers_and_knows_the_token_is_sound() -> None:
    found = findings(running(), nothing_else())

    assert [(each.level, each.check) for each in found] == [("ok", "api"), ("ok", "processes")]
    assert found[0].text == "https://api.test answers and knows the token"


def test_what_does_not_run_behind_the_api_is_a_warning() -> None:
    found = findings(running(beats=0, missing=["no beat runs"]), nothing_else())[-1]

    assert (found.level, found.check, found.text) == ("warn", "processes", "no beat runs")


def test_of_processes_that_cannot_say_that_they_live_the_advice_is_to_let_redis_write() -> None:
    found = findings(running(workers=0, missing=["whether a worker runs is not known"]), nothing_else())[-1]

    assert (found.level, found.fix) == ("warn", "let Redis take writes again")


@pytest.mark.parametrize(
    ("answers", "text", "fix"),
    [
        ([problem(401, "unauthorized")], "does not know the token", "sfmc-import tokens add"),
        ([httpx.Response(404, text="another server")], "", "check SFMC_API_URL"),
        ([httpx.ConnectError("refused")] * 20, "does not answer", "check SFMC_API_URL"),
        ([problem(503, "unavailable")] * 20, "cannot do it now", "on that server"),
    ],
    ids=["token", "another server", "away", "without redis"],
)
def test_an_api_that_cannot_be_used_is_one_failure_with_a_fix(answers: list[Any], text: str, fix: str) -> None:
    [found] = findings(*answers)

    assert (found.level, found.check, text in found.text, fix in found.fix) == ("fail", "api", True, True)


def test_a_token_that_is_sent_without_encryption_is_a_warning() -> None:
    levels = {
        url: findings(running(), nothing_else(), url=url)[0].level
        for url in ("http://api.test", "http://localhost:8000", URL)
    }

    assert levels == {"http://api.test": "warn", "http://localhost:8000": "ok", URL: "ok"}


def test_a_redis_that_is_full_and_a_folder_without_a_watcher_behind_the_api_are_failures() -> None:
    numbers = ("unfinished", "overdue", "events", "queued", "in_flight", "dead_letters", "workers", "beats")
    lists: dict[str, Any] = {"paused": [], "failures": [], "next": [], "watchers": []}
    at = "2026-03-01T06:00:00Z"
    folder = {"folder": "/in", "location": "/in", "state": "unseen", "text": "NO WATCHER READS IT", "since": at}
    server = {"server": "Redis", "check": "writes", "text": "has no memory left", "fix": "give it more"}
    whole = {"redis": "redis://r", "now": at, **dict.fromkeys(numbers, 0), **lists}
    whole |= {"folders": [folder | {"seen_at": at, "is_trouble": True}], "servers": [server]}
    found = findings(running(), httpx.Response(200, json=whole))[2:]

    assert [(each.level, each.check) for each in found] == [("fail", "writes"), ("fail", "folder")]
    assert found[1].text == "/in: NO WATCHER READS IT, since 2026-03-01 06:00:00 UTC"

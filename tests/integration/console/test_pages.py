"""The pages of the console, with what stands in them."""

import html
import re
import shlex

import pytest

from sfmc_import.access import ReadAccess
from sfmc_import.bootstrap import quota_limits
from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.opening import open_ledger
from sfmc_import.notifications.memory import NotifierMemory
from sfmc_import.operations import actions
from sfmc_import.operations.overview import overview
from sfmc_import.operations.usage import calls
from sfmc_import.settings.notify_table import WebhookTable
from sfmc_server.console.application import GET
from tests.support.console import MID, World
from tests.support.console_data import KEYS, busy, many, past_day

OF_ONE_THING = {"/search", "/request", "/definition", "/folders/forget"}
PLAIN = [path for path in GET if "{" not in path and path not in OF_ONE_THING]


@pytest.mark.parametrize("path", [*PLAIN, "/requests?list=failures", "/definitions?list=all"])
def test_each_page_can_be_opened_when_nothing_has_happened_yet(world: World, path: str) -> None:
    answer = world.person("operator").see(path)

    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert '<main id="main"' in answer.text


@pytest.mark.parametrize("path", ["/", "/requests"])
def test_rows_of_several_business_units_name_theirs(world: World, path: str) -> None:
    world.submit()
    alone = world.person("viewer").see(path).text
    world.client.submit(customer_key="orders", mid="7")
    mixed = world.person("viewer").see(path).text

    assert '<small class="calm-text">business unit ' not in alone
    for mid in (MID, "7"):
        assert f'<small class="calm-text">business unit {mid}</small>' in mixed


def test_an_outage_of_a_business_unit_is_said_on_the_overview_and_by_the_api(world: World) -> None:
    request_id, client = world.submit(), world.access.client
    error = '{"code": "http_503", "text": "HTTP 503", "at": 1772344800000}'
    fields = {"state": "retrying", "wait": "circuit_open", "wait_since": "1772344800000", "error": error}
    client.hset(Keys().request(request_id), mapping=fields)
    page = world.person("viewer").see("/").text
    headers = {"authorization": f"Bearer {world.tokens['viewer']}"}
    [trouble] = world.http.request("GET", "/v1/status", headers=headers).json()["troubles"]

    assert f"Business unit {MID}: circuit_open since" in page
    assert "<code>http_503</code> HTTP 503" in page
    assert (trouble["mid"], trouble["codes"], trouble["reason"]) == (MID, ["http_503"], "circuit_open")


def test_the_calls_of_the_account_are_on_the_overview_with_the_share_of_the_budget(world: World) -> None:
    settings = world.access.settings
    quota = open_ledger(settings).quota(quota_limits(settings))
    quota.take("rest", 0, 0, MID, {"all": 7})
    person = world.person("viewer")

    assert ">7</b> calls today, 7 this month" in person.see("/").text
    assert calls(world.access).share is None
    limited = ReadAccess(settings.model_copy(update={"calls_per_day": 8, "calls_per_year": 100}))
    assert calls(limited).share == 7 / 8


def test_a_request_is_on_the_overview_with_why_it_waits_and_has_a_page_with_its_life(world: World) -> None:
    request = world.submit(name="new orders.csv")
    person = world.person("operator")
    overview, page = person.see("/"), person.see(f"/request?id={request}")

    assert "new orders.csv" in overview.text
    assert "It waits for a worker to take it." in overview.text
    assert (page.status_code, "accepted" in page.text) == (200, True), page.text
    assert f'href="/request/cancel?id={request}"' in page.text


def test_an_operator_reads_what_will_happen_and_cancels(world: World) -> None:
    request = world.submit()
    person = world.person("operator")
    path = f"/request/cancel?id={request}"
    confirm = person.see(path)
    done = person.send(path, {"reason": "wrong file"})

    assert "Its file counts as handled" in confirm.text
    assert (done.status_code, done.headers["location"]) == (303, f"/request?id={request}&done=cancelled")
    after = person.see(done.headers["location"]).text
    assert "The request is cancelled." in after
    assert "operator ann" in after


@pytest.fixture
def found(world: World) -> dict[str, str]:
    past_day(world.access, 1, KEYS[:3])
    requests = busy(world.access)
    world.console.feed.read()
    return requests


def test_the_overview_shows_failures_before_what_runs_and_what_waits_and_why(
    world: World, found: dict[str, str]
) -> None:
    page = world.person("viewer").see("/").text
    places = [page.index(text) for text in ("signups.csv", "orders_2026-11-27.csv", "orders_2026-11-27_b.csv")]

    assert places == sorted(places)
    assert "code 43010, The file name does not match the definition" in page
    assert "one runs at a time" in page
    assert "the warehouse sends wrong stock, see INC-4711" in page
    assert 'aria-label="Prices_Hourly, last 24 hours: ' in page


def test_a_name_that_is_markup_or_turns_the_text_round_is_shown_harmless(world: World, found: dict[str, str]) -> None:
    person = world.person("operator")
    for path in ("/", "/requests", f"/request?id={found['bad_name']}", f"/request/cancel?id={found['bad_name']}"):
        page = person.see(path).text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202egnp.csv" in page
        assert "<script>alert" not in page
        assert "\u202e" not in page
    assert "report &lt;final&gt;.pdf" in person.see("/unmatched").text


@pytest.mark.parametrize(
    ("text", "word"), [("orders_2026-11-27.csv", "running"), ("100002", "failed"), ("signups.csv", "unknown")]
)
def test_a_search_that_finds_one_request_shows_it(world: World, found: dict[str, str], text: str, word: str) -> None:
    person = world.person("viewer")

    assert person.ask("GET", "/search", params={"q": text}).headers["location"] == f"/request?id={found[word]}"
    by_id = person.ask("GET", "/search", params={"q": found[word]})
    assert by_id.headers["location"] == f"/request?id={found[word]}"


def test_a_search_finds_definitions_by_a_part_of_their_key_and_says_when_there_is_nothing(
    world: World, found: dict[str, str]
) -> None:
    person = world.person("viewer")

    assert "customer_key=Prices_Hourly" in person.see("/search?q=prices_h").text
    nothing = person.ask("GET", "/search", params={"q": "<b>none</b>"})
    assert (nothing.status_code, "&lt;b&gt;none&lt;/b&gt;" in nothing.text) == (404, True)


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("state=rejected", {"stock.csv"}),
        ("waiting=rate_limited", {"points.csv"}),
        ("customer_key=daily_orders", {"orders_2026-11-27.csv", "orders_2026-11-27_b.csv"}),
        ("file=signups.csv", {"signups.csv"}),
        ("list=failures", {"stock.csv", "signups.csv", "prices_2026-11-27_23.csv"}),
        ("list=failures&customer_key=stock_levels", {"stock.csv"}),
        ("list=unfinished&customer_key=daily_orders", {"orders_2026-11-27.csv", "orders_2026-11-27_b.csv"}),
        ("state=no_such_state", set()),
    ],
)
def test_the_list_has_what_its_filters_say(world: World, found: dict[str, str], query: str, shown: set[str]) -> None:
    page = world.person("viewer").see(f"/requests?{query}").text.partition("<tbody")[2]
    names = {"stock.csv", "points.csv", "orders_2026-11-27.csv", "orders_2026-11-27_b.csv", "signups.csv"}

    assert {name for name in (*names, "prices_2026-11-27_23.csv") if f">{name}<" in page} == shown


def test_a_definition_says_who_holds_it_until_when_its_window_is_closed_and_what_waits(
    world: World, found: dict[str, str]
) -> None:
    page = world.person("operator").see(f"/definition?mid={MID}&customer_key=Daily_Orders").text

    assert f'href="/request?id={found["running"]}"' in page
    assert "closed until" in page
    assert "orders_2026-11-27_b.csv" in page


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/request?id=none", 404),
        ("/request?id=%00", 404),
        ("/definition?mid=1&customer_key=none", 404),
        ("/definition", 404),
        ("/request", 404),
        ("/dead-letters/1-1", 404),
        ("/dead-letters/nonsense", 404),
        ("/requests?cursor=nonsense", 422),
        ("/dead-letters?cursor=x", 422),
        ("/request/nonsense?id=a", 404),
        ("/pause?mid=abc", 422),
        ("/search?" + "&".join(f"a{number}=1" for number in range(99)), 422),
    ],
)
def test_what_is_not_there_or_not_valid_is_a_page_that_says_so(world: World, path: str, status: int) -> None:
    answer = world.person("operator").see(path)

    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("path", "page"), [("/dead-letters/1-1", "/dead-letters"), ("/definition?mid=1&customer_key=none", "/")]
)
def test_what_is_not_there_leads_to_the_page_that_lists_what_is(world: World, path: str, page: str) -> None:
    answer = world.person("viewer").see(path).text

    assert answer.count(f'href="{page}"') == 1
    assert "sfmc-import dead-letters" not in answer


def test_the_command_that_shows_the_same_can_be_pasted(world: World) -> None:
    world.submit(key="Bob's; $(id)")
    page = world.person("viewer").see(f"/definition?mid={MID}&customer_key=Bob%27s%3B%20%24%28id%29").text
    command = re.search(r"<code>(sfmc-import status [^<]*)</code>", page)

    assert command
    assert shlex.split(html.unescape(command[1])) == ["sfmc-import", "status", "Bob's; $(id)", "--mid", MID]


def test_ten_thousand_requests_are_read_in_pages_that_follow_each_other(world: World) -> None:
    many(world.access, 10_000)
    person, names, path = world.person("viewer"), set(), "/requests?state=accepted"
    for _ in range(3):
        page = person.see(path).text
        names |= set(re.findall(r">(Bulk_\d+\.csv)<", page))
        following = re.search(r'rel="next" href="([^"]+)"', page)
        assert following
        path = following[1].replace("&amp;", "&")

    assert len(names) == 150
    assert "20 of 10000" in person.see("/").text


def test_a_body_that_is_too_large_or_no_form_is_refused(world: World) -> None:
    person = world.person("operator")

    assert person.ask("POST", "/pause", data={"reason": "x" * 40_000}).status_code == 413
    assert person.ask("POST", "/pause", json={"reason": "x"}).status_code == 415


@pytest.mark.parametrize("request_id", ["a/cancel", "../..", "...", "a//b", "x+y=z@1:2", "pause/../../login"])
def test_a_request_with_an_unusual_id_has_its_page_and_its_actions(world: World, request_id: str) -> None:
    world.submit(request_id=request_id)
    person = world.person("operator")
    links = re.findall(r'href="(/request[/?][^"]+)"', person.see("/requests").text)
    assert [link.partition("?")[0] for link in links] == ["/request", "/request/cancel"]

    shown, confirm = (person.see(link) for link in links)
    assert (shown.status_code, confirm.status_code) == (200, 200)
    assert person.send(links[1], {}).status_code == 303
    assert "cancelled" in person.see(links[0]).text


def test_a_request_that_waits_for_a_pause_has_the_words_of_the_operator_and_no_made_up_end(
    world: World, found: dict[str, str]
) -> None:
    person = world.person("viewer")
    page = person.see(f"/request?id={found['paused']}").text
    why = page.partition("Why it waits: paused")[2].partition("</section>")[0]

    assert "the warehouse sends wrong stock, see INC-4711" in why
    assert "until somebody ends it" in why
    assert " (in " not in why
    assert ">somebody ends the pause</a>" in person.see("/").text


@pytest.mark.parametrize("role", ["operator", "viewer"])
@pytest.mark.parametrize("kind", ["request", "definition"])
def test_a_pause_is_ended_from_the_page_of_what_it_holds(
    world: World, found: dict[str, str], kind: str, role: str
) -> None:
    paths = {
        "request": f"/request?id={found['paused']}",
        "definition": f"/definition?mid={MID}&customer_key=Stock_Levels",
    }
    person = world.person(role)
    page = person.see(paths[kind]).text.partition("<main")[2]

    assert '<a href="/pauses">All pauses</a>' in page
    assert ("End this pause" in page) is (role == "operator")
    if role == "operator":
        assert person.send("/resume", {"reason": "sound again"}, of=paths[kind]).status_code == 303
        assert actions.pauses(world.access) == []


def test_what_waits_is_shown_behind_hundreds_of_runs_that_are_asked_for_first(world: World) -> None:
    keys, ids = world.access.keys, [f"run-{number}" for number in range(700)]
    for key in (keys.due, keys.follows):
        world.access.client.zadd(key, dict.fromkeys(ids, 1))
        world.access.client.expire(key, 600)
    request = world.submit()

    assert f"/request?id={request}" in world.person("viewer").see("/").text


def test_many_pauses_do_not_push_the_failures_from_the_overview_and_the_widest_comes_first(world: World) -> None:
    for number in range(30):
        actions.pause(world.access, actions.scope_of(MID, f"key{number}"), "ann", f"reason {number}")
    actions.pause(world.access, actions.scope_of(MID, None), "ann", "moving")
    actions.pause(world.access, "all", "ann", "release night")
    person = world.person("viewer")
    page = person.see("/").text

    assert page.count("is paused</strong>") == 3
    places = [page.index(text) for text in ("Everything is paused", f"Business unit {MID} is paused", "reason ")]
    assert places == sorted(places)
    assert "29 more pauses" in page
    assert person.see("/pauses").text.count("is paused</strong>") == 32


@pytest.mark.parametrize("path", ["/", "/definitions"])
def test_the_line_of_a_definition_says_that_it_is_paused(world: World, found: dict[str, str], path: str) -> None:
    person = world.person("viewer")
    mark = ">paused</a>"
    assert person.see(path).text.count(mark) == 1

    actions.resume(world.access, actions.scope_of(MID, "Stock_Levels"), "ann")
    assert mark not in person.see(path).text
    actions.pause(world.access, actions.scope_of(MID, None), "ann", "moving")
    assert person.see(path).text.count(mark) > 3


def test_a_definition_that_only_a_refused_request_named_has_a_page(world: World) -> None:
    refused = world.client.reject(customer_key="Refused", request_id="r-1", code="unknown", text="no such key", mid=MID)
    world.access.client.delete(world.access.keys.definition(MID, "Refused"))
    world.console.feed.read()
    person = world.person("viewer")

    assert refused.state == "rejected"
    assert "Refused" in person.see(f"/definition?mid={MID}&customer_key=Refused").text
    assert person.see(f"/definition?mid={MID}&customer_key=Refused").status_code == 200
    assert person.see(f"/definition?mid={MID}&customer_key=Other").status_code == 404


def test_a_request_that_ended_badly_says_everywhere_why_and_what_would_help(world: World) -> None:
    request_id = world.submit()
    world.access.client.hset(Keys().request(request_id), mapping={"state": "gave_up"})
    headers = {"authorization": f"Bearer {world.tokens['viewer']}"}
    shown = world.http.request("GET", f"/v1/requests/{request_id}", headers=headers).json()
    page = world.person("viewer").see(f"/request?id={request_id}").text

    assert shown["advice"] == "fix the cause, then replay it"
    assert "What would help: fix the cause, then replay it." in page


def test_the_first_page_says_what_a_notification_could_not_send(world: World) -> None:
    access = ReadAccess(world.access.settings.model_copy(update={"notifications": {"hook": WebhookTable()}}))
    memory = NotifierMemory(access.client, access.settings.redis, access.settings.prefix, "hook")
    assert not overview(access).notifications[0].needs_somebody
    memory.note_try(3, "HTTP 500 <b>", access.reader.now() - 60)
    world.console._access = access
    page = world.person("viewer").see("/").text

    assert re.search("Notification hook: not sent since <.*>, tried 3 times; set aside: 0", page)
    assert "To do: find the cause with a test of this notification" in page
    assert "HTTP 500 &lt;b&gt;" in page

"""What operators do at the console: each action says first what will happen, and is done once."""

import re

import pytest

from sfmc_import.operations import actions, listing, requests
from tests.support.console import MID, Person, World
from tests.support.console_data import busy


@pytest.fixture
def found(world: World) -> dict[str, str]:
    return busy(world.access)


def confirmed(person: Person, path: str, **fields: str) -> str:
    """Do it, and give the page that follows."""
    answer = person.send(path, fields)
    assert answer.status_code == 303, answer.text
    return person.see(answer.headers["location"]).text


def test_a_request_that_waits_for_its_turn_is_forced_with_a_reason(world: World, found: dict[str, str]) -> None:
    person = world.person("operator")
    path = f"/request/force?id={found['deferred']}"

    assert "One run at a time still holds" in person.see(path).text
    assert person.send(path, {"reason": " "}).status_code == 422
    assert "does not wait for the window any more" in confirmed(person, path, reason="late delivery")
    assert requests.show(world.access, found["deferred"]).force


def test_a_failed_request_is_replayed_once_however_often_the_form_is_sent(world: World, found: dict[str, str]) -> None:
    person = world.person("operator")
    path = f"/request/replay?id={found['failed']}"
    page = person.see(path).text
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.partition("<main")[2]))
    places = {person.ask("POST", path, data=hidden).headers["location"] for _ in range(3)}

    assert len(places) == 1
    new = places.pop().partition("&")[0].removeprefix("/request?id=")
    assert requests.show(world.access, new).replays == found["failed"]


def test_what_is_being_replayed_is_replayed_once_more_with_a_reason_and_the_page_names_the_replay(
    world: World, found: dict[str, str]
) -> None:
    again = actions.replay(world.access, found["failed"], "ann").new_request_id
    person = world.person("operator")
    path = f"/request/replay?id={found['failed']}"

    assert f"It was replayed as request {again}, which is accepted." in person.see(path).text
    assert person.send(path, {}).status_code == 422
    assert "This is the new request." in confirmed(person, path, reason="both are needed")


def test_a_form_from_before_another_replay_replays_nothing_more(world: World, found: dict[str, str]) -> None:
    person = world.person("operator")
    path = f"/request/replay?id={found['failed']}"
    page = person.see(path).text
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.partition("<main")[2]))
    again = actions.replay(world.access, found["failed"], "ann").new_request_id
    answer = person.ask("POST", path, data=hidden | {"reason": "once more"})

    assert answer.status_code == 409
    assert f"was replayed as request {again}, and nothing was done" in answer.text
    assert requests.show(world.access, found["failed"]).replayed_by == again


def test_an_imported_file_is_replayed_only_with_a_reason_and_the_page_says_that_it_is_imported_again(
    world: World, found: dict[str, str]
) -> None:
    person = world.person("operator")
    path = f"/request/replay?id={found['done']}"

    assert "although it was imported" in person.see(path).text
    assert person.send(path, {}).status_code == 422
    assert "This is the new request." in confirmed(person, path, reason="rows were deleted")


def test_the_confirmation_of_a_replay_names_the_request_that_has_imported_the_file_since(
    world: World, found: dict[str, str]
) -> None:
    world.access.client.hset(world.access.keys.request(found["failed"]), "settled", found["done"])
    page = world.person("operator").see(f"/request/replay?id={found['failed']}").text

    assert f"Request {found['done']} has imported a file of this name since" in page
    assert "is imported once more" in page


def test_a_failure_that_is_dealt_with_is_settled_with_a_reason(world: World, found: dict[str, str]) -> None:
    person = world.person("operator")
    path = f"/request/settle?id={found['failed']}"

    assert "leaves the lists" in person.see(path).text
    assert person.send(path, {}).status_code == 422
    assert "It is dealt with" in confirmed(person, path, reason="started as <orders2>")
    page = person.see(f"/request?id={found['failed']}").text
    assert "started as &lt;orders2&gt;" in page
    assert "has said that this one is dealt with" in person.see(f"/request/replay?id={found['failed']}").text


def test_an_unknown_start_is_resolved_and_the_second_operator_learns_it(world: World, found: dict[str, str]) -> None:
    person, other = world.person("operator"), world.person("operator")
    path = f"/request/resolve?id={found['unknown']}"
    page = other.see(path).text
    both = {"what": "started", "unchecked": "1", "reason": "seen there"}

    assert person.send(path, {"what": "started", "reason": "x"}).status_code == 422
    assert person.send(path, {"what": "not_started", "task_id": "7", "reason": "x"}).status_code == 422
    assert "The start is resolved." in confirmed(person, path, **both, task_id="100009")
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.partition("<main")[2]))
    late = other.ask("POST", path, data={**hidden, **both, "task_id": "100010"})
    assert (late.status_code, "has moved on: it is started now" in late.text) == (409, True)


def test_a_form_that_is_not_valid_is_shown_again_with_what_was_written(world: World, found: dict[str, str]) -> None:
    person = world.person("operator")
    path = f"/request/resolve?id={found['unknown']}"
    none = person.send(path, {"what": "not_started"})
    wrong = person.send(path, {"what": "started", "task_id": "100007", "unchecked": "1"})

    assert (none.status_code, "a reason is needed: how you know" in none.text) == (422, True)
    assert "--" not in none.text.partition("<main")[2].partition('role="alert"')[2].partition("</p>")[0]
    assert 'value="not_started" checked' in none.text
    assert "needed if nothing was started" in none.text
    assert (wrong.status_code, 'value="100007"' in wrong.text) == (422, True)
    assert "The start is resolved." in confirmed(person, path, what="not_started", reason="<seen>")


@pytest.mark.parametrize("action", ["cancel", "force", "resolve", "follow", "nonsense"])
def test_an_action_that_does_not_fit_is_refused_before_anything_is_asked(
    world: World, found: dict[str, str], action: str
) -> None:
    answer = world.person("operator").see(f"/request/{action}?id={found['done']}")

    assert answer.status_code == (404 if action == "nonsense" else 409)


def test_a_definition_is_paused_for_a_time_and_resumed(world: World, found: dict[str, str]) -> None:
    person = world.person("operator")
    fields = {"mid": MID, "customer_key": "Daily_Orders"}
    form = f"/pause?mid={MID}&customer_key=Daily_Orders"
    assert "No start of this definition is sent" in person.see(form).text
    assert person.send("/pause", {**fields, "reason": "wait", "duration": "soon"}, of=form).status_code == 422
    assert person.send("/pause", {**fields, "reason": ""}, of=form).status_code == 422
    assert (
        person.send("/pause", {**fields, "reason": "look <b>first</b>", "duration": "2h"}, of=form).status_code == 303
    )

    held = {each.scope: each for each in actions.pauses(world.access)}[f"key:{MID}:Daily_Orders"]
    assert (held.operator, held.reason, held.until is not None) == ("ann", "look <b>first</b>", True)
    assert "look &lt;b&gt;first&lt;/b&gt;" in person.see("/").text
    assert person.send("/resume", fields, of="/pauses").status_code == 303
    assert person.send("/resume", fields, of="/pauses").status_code == 404


def test_everything_is_paused_and_every_page_that_counts_says_so(world: World) -> None:
    person = world.person("operator")
    assert person.send("/pause", {"reason": "release night"}).status_code == 303

    assert "Everything is paused" in person.see("/").text
    assert "release night" in person.see("/pauses").text


def test_a_start_says_what_is_in_its_way_and_is_recorded_once(world: World, found: dict[str, str]) -> None:
    person = world.person("operator")
    given = {"customer_key": "Daily_Orders", "mid": MID, "name": "orders_late.csv", "location": "/drop/in"}
    asked = person.send("/start", given)
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', asked.text.partition("<main")[2]))
    places = {person.ask("POST", "/start", data=hidden).headers["location"] for _ in range(2)}

    assert f"/request?id={found['running']}" in asked.text
    assert "The window is closed until" in asked.text
    assert len(places) == 1
    page = person.see(places.pop()).text
    assert ("The request is recorded." in page, "console: ann" in page) == (True, True)


@pytest.mark.parametrize("wrong", [{"customer_key": "x" * 37}, {"mid": "abc"}, {"customer_key": ""}])
@pytest.mark.parametrize("confirmed", ["", "1"])
def test_nothing_is_promised_that_would_be_refused_and_the_form_is_shown_again(
    world: World, wrong: dict[str, str], confirmed: str
) -> None:
    given = {"customer_key": "a", "mid": MID, "name": "orders.csv", "confirmed": confirmed, "once": "1", **wrong}
    answer = world.person("operator").send("/start", given)

    assert answer.status_code == 422
    assert "A request is recorded" not in answer.text
    assert (answer.text.count("Not valid") == 1, 'value="orders.csv"' in answer.text) == (True, True)


def test_a_dead_letter_is_read_put_back_or_deleted(world: World, found: dict[str, str]) -> None:
    person = world.person("operator")
    letter = re.search(r'href="(/dead-letters/[^"]+)"', person.see("/dead-letters").text.partition("<main")[2])
    assert letter
    assert "customer_key is missing" in person.see(letter[1]).text
    assert "gone for ever" in person.see(f"{letter[1]}/delete").text
    assert person.send(f"{letter[1]}/delete", {}).headers["location"] == "/dead-letters?done=deleted"
    assert person.see(f"{letter[1]}/replay").status_code == 404


@pytest.mark.parametrize(("action", "word"), [("delete", "deleted"), ("replay", "replayed")])
def test_of_two_operators_with_the_same_dead_letter_the_second_learns_it_and_an_event_names_the_first(
    world: World, found: dict[str, str], action: str, word: str
) -> None:
    del found
    person, other = world.person("operator"), world.person("operator")
    letter = re.search(r'href="(/dead-letters/[^"]+)"', person.see("/dead-letters").text.partition("<main")[2])
    assert letter
    page = other.see(f"{letter[1]}/{action}").text
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.partition("<main")[2]))

    assert person.send(f"{letter[1]}/{action}", {}).status_code == 303
    late = other.ask("POST", f"{letter[1]}/{action}", data=hidden)
    assert (late.status_code, "there is no dead letter" in late.text) == (404, True)
    [event] = listing.newest_events(world.access, 1).items
    assert (event["type"].rpartition(".")[2], event["data"]["operator"]) == (f"dead_letter_{word}", "ann")
    world.access.broker.delete(event["data"]["queue"])


def test_a_pause_of_what_nothing_knows_says_so_before_and_after_and_what_is_too_long_is_refused(world: World) -> None:
    world.submit("orders")
    person = world.person("operator")
    path = f"/pause?mid={MID}&customer_key=ordrs"

    assert "No definition with this key is known here; did you mean orders?" in person.see(path).text
    assert "is known here" not in person.see(f"/pause?mid={MID}&customer_key=orders").text
    assert (
        "Nothing of this name is known here"
        in person.see(person.send("/pause", {"reason": "look"}, of=path).headers["location"]).text
    )
    long = person.send("/pause", {"reason": "x" * 1025}, of="/pause")
    assert (long.status_code, "the reason has 1025 characters; it may have 1024" in long.text) == (422, True)


def test_a_start_under_another_key_is_offered_with_what_the_refused_request_had(
    world: World, found: dict[str, str]
) -> None:
    person = world.person("operator")
    path = f"/request/start?id={found['rejected']}"
    form = person.see(path).text

    assert path in person.see(f"/request?id={found['rejected']}").text
    assert 'name="customer_key" required maxlength="256" value="Stock_Levels"' in form
    assert 'value="stock.csv"' in form
    assert "start the file under the CustomerKey that the definition has" in form
    assert world.person("viewer").see(path).status_code == 403
    given = {"customer_key": "Stock", "mid": MID, "name": "stock.csv"}
    assert "Start <bdi>Stock</bdi>?" in person.send("/start", given, of=path).text
    assert person.see(f"/request/start?id={found['done']}").status_code == 409
    assert person.send("/request/start", {}, of=path).status_code == 404


def test_a_folder_that_no_watcher_reads_is_forgotten_after_a_confirmation(world: World) -> None:
    gone = {"folder": "/data/<old>", "location": "/data/old", "state": "watched", "files": [], "more": 0}
    world.client.note_folders("h:1:x", [gone])
    world.access.client.delete(world.access.keys.watchers)
    person, path = world.person("operator"), "/folders/forget?location=%2Fdata%2Fold"
    first, form = person.see("/").text, person.see(path).text

    assert path in first
    assert "Forget <bdi>/data/&lt;old&gt;</bdi>?" in form
    assert path not in world.person("viewer").see("/").text
    assert world.person("viewer").see(path).status_code == 403
    answer = person.send("/folders/forget", {}, of=path)
    assert "It is forgotten" in person.see(answer.headers["location"]).text
    assert person.see(path).status_code == 404

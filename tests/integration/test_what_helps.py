"""What an operator is advised to do about a request that waits."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from sfmc_import.bootstrap import quota_limits
from sfmc_import.cli.doctor_redis import check_redis
from sfmc_import.cli.requests_shown import request_lines, table_lines
from sfmc_import.errors import SINCE_WHEN
from sfmc_import.faults import NotApplied
from sfmc_import.ledger import RedisLedger
from sfmc_import.ledger.broker_state import BrokerState
from sfmc_import.ledger.opening import ledger_settings, open_ledger
from sfmc_import.operations import actions, requests
from sfmc_import.operations.errors import NotFoundError
from sfmc_import.operations.fixing import RESUME
from sfmc_import.operations.folders import FILE_ADVICE
from sfmc_import.operations.paused_too import RESUME_TOO
from sfmc_import.operations.status import standing, status
from sfmc_import.policy import Policy
from sfmc_import.runs import Definition
from sfmc_import.settings import load
from sfmc_import.states import Lease, StartNow
from sfmc_import.worker_process import WriteLossWatch
from sfmc_server.console.feed import Feed
from tests.support.console import MID, World, console_over

LATER = datetime(2099, 1, 1, tzinfo=UTC)


@pytest.fixture
def world(redis_server: Any) -> Iterator[World]:
    with console_over(redis_server.url) as made:
        yield made


def claimed(world: World, key: str) -> tuple[RedisLedger, Lease]:
    """Submit a request and let a worker take it."""
    ledger = open_ledger(world.access.settings)
    asked = ledger.load(world.submit(name=key, key=key))
    assert asked is not None
    decision = ledger.claim(asked, "worker", Policy(), Definition(customer_key=key))
    assert isinstance(decision, StartNow), decision
    return ledger, decision.lease


def test_a_pause_after_an_outage_says_who_ends_it_and_the_outage_as_past(world: World) -> None:
    ledger, lease = claimed(world, "held")
    ledger.retry(lease, NotApplied("http_503", "Service Unavailable"), 0.0)
    actions.pause(world.access, f"key:{MID}:held", "ann", "night")
    asked = ledger.load(lease.request_id)
    assert asked is not None
    ledger.claim(asked, "worker", Policy(), Definition(customer_key="held"))
    view = requests.show(world.access, lease.request_id)
    lines = " ".join(map(str, [*request_lines(view, 0.0), *table_lines(view, 0.0)]))
    page = world.person("operator").see(f"/request?id={lease.request_id}").text

    assert view.waiting is not None
    assert (view.waiting.reason, view.advice, view.next[0]) == ("paused", RESUME, "resume")
    assert standing(world.access, "held", MID).holder_advice in {RESUME, None}
    assert "status.salesforce.com" not in lines + page
    assert "it fails since" not in lines + page
    assert "  before   http_503: Service Unavailable" in lines
    assert "What failed before this wait" in page
    assert [each.codes for each in status(world.access).troubles] == []


@pytest.mark.parametrize("until", [None, LATER])
def test_what_fails_during_a_pause_says_that_it_is_paused_too(world: World, until: datetime | None) -> None:
    ledger, lease = claimed(world, "held")
    ledger.retry(lease, NotApplied("login_failed", "Not Authorized", account_wide=True), 60.0)
    before = requests.show(world.access, lease.request_id)
    actions.pause(world.access, "all", "ann", "night shift", until)
    view = requests.show(world.access, lease.request_id)
    lines = " ".join(map(str, [*request_lines(view, 0.0), *table_lines(view, 0.0)]))
    page = world.person("operator").see(f"/request?id={lease.request_id}").text
    [trouble] = status(world.access).troubles

    assert before.waiting is not None
    assert view.waiting is not None
    assert (before.waiting.pause, before.next) == (None, ["cancel", "pause"])
    assert (view.waiting.reason, view.waiting.until, view.next) == (
        "circuit_open", before.waiting.until, ["resume", "cancel"],
    )  # fmt: skip
    end = "until sfmc-import resume" if until is None else "until 2099-01-01 00:00:00 UTC"
    assert f"  pause    and paused {end}, by ann: night shift" in lines
    assert "night shift" in page
    helps = ": resume what is paused" if until is None else ", until 2099-01-01 00:00:00 UTC"
    assert f"; it is paused too{helps}; it goes on by itself after both, once sfmc-import" in str(view.advice)
    assert trouble.advice.endswith(f" They are paused too{helps}. Requests go on by themselves after both.")


def test_what_waits_for_a_worker_or_its_window_during_a_pause_is_to_be_resumed(world: World) -> None:
    ledger, _ = claimed(world, "held")
    first, second = world.submit(name="held.csv", key="other"), world.submit(name="second.csv", key="held")
    asked = ledger.load(second)
    assert asked is not None
    ledger.claim(asked, "worker", Policy(), Definition(customer_key="held"))
    actions.pause(world.access, "all", "ann", "night shift")
    queued, in_line = (requests.show(world.access, each) for each in (first, second))

    assert [each.waiting and each.waiting.reason for each in (queued, in_line)] == ["queued", "single_flight"]
    assert (queued.advice, in_line.advice) == (RESUME, RESUME_TOO)
    assert [each.next[0] for each in (queued, in_line)] == ["resume", "resume"]


def test_a_request_that_needs_a_process_which_does_not_run_is_not_advised_to_wait(world: World) -> None:
    ledger, lease = claimed(world, "idle")
    ledger.retry(lease, NotApplied("http_503", "Service Unavailable"), 60.0)
    advice = requests.show(world.access, lease.request_id).advice

    assert advice == "start sfmc-import worker and sfmc-import beat; it goes on by itself after that"


@pytest.mark.parametrize("act", [actions.cancel, actions.force, actions.replay, actions.settle])
def test_each_action_on_an_id_that_is_not_known_says_why_it_may_not_be(world: World, act: Any) -> None:
    words = ("nope", "ann") if act is actions.replay else ("nope", "ann", "gone")
    with pytest.raises(NotFoundError) as caught:
        act(world.access, *words)

    assert (str(caught.value), caught.value.fix) == ("there is no request nope", requests.UNKNOWN)


def test_of_two_servers_each_line_of_doctor_names_its_own_and_since_when_the_broker_is_away(
    world: World, redis_server: Any
) -> None:
    apart = load({"SFMC_REDIS_URL": redis_server.url, "SFMC_BROKER_URL": redis_server.url.replace("db=0", "db=1")})
    found = {each.text.partition(":")[0] for each in check_redis(apart, "worker") if each.check == "persistence"}
    away = load({"SFMC_REDIS_URL": redis_server.url, "SFMC_BROKER_URL": "redis://127.0.0.1:9/0"})
    BrokerState(world.access.client, ledger_settings(away)).note(is_away=True)
    [finding] = [each for each in check_redis(away, "worker") if each.check == "broker"]

    assert found == {"ledger", "broker"}
    assert (", since 20" in finding.text, SINCE_WHEN in finding.fix) == (True, False)


def test_the_console_counts_nothing_of_before_redis_was_emptied(world: World) -> None:
    feed = Feed(world.access, lambda: False)
    world.submit(name="before.csv")
    feed.read()
    before = feed.activity.day(world.access.reader.now()).total("accepted")
    watch = WriteLossWatch(open_ledger(world.access.settings))
    watch.beat()
    world.access.client.flushall()
    watch.beat()
    world.submit(name="after.csv")
    feed.read()

    assert (before, feed.activity.day(world.access.reader.now()).total("accepted")) == (1, 1)


def test_a_worker_with_another_login_that_fails_makes_the_list_of_a_watcher_no_older(world: World) -> None:
    settings = world.access.settings
    quota = open_ledger(settings).quota(quota_limits(settings))
    for number in range(3):
        quota.report(f"{MID}@01d0", f"probe{number}", 0, "failed", code="login_failed", text="no", by="a worker")
    folder = {"folder": "/data/in", "location": "/data/in", "state": "watched", "more": 0, "login": "4e11"}
    folder["files"] = [{"name": "a.csv", "reason": "unmatched", "age": 1.0}]
    world.client.note_folders("h:1:x", [folder])
    stray = {"location": "/data/in", "name": "a.csv", "fingerprint": "f" * 32}
    said = {"mid": MID, "file": stray, "reason": "no_match", "text": "no route and no FileSpec names it"}
    world.access.ledger().report("arrival/1", "unrouted", MID, stray["name"], said)
    whole = world.ask("GET", "/v1/status").json()
    [file] = whole["folders"][0]["files"]

    assert [each["codes"] for each in whole["troubles"]] == [["login_failed"]]
    assert (file["text"], file["advice"]) == ("no definition matches", FILE_ADVICE["unmatched"])
    assert world.ask("GET", "/v1/unmatched").json()["old_definitions"] == []

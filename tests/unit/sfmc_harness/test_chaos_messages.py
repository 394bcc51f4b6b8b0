"""What the producers of a chaos run send, and the time zone in which a day ends meanwhile."""

import random
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from sfmc_harness.chaos.messages import FAR, Message, Messages, Order
from sfmc_harness.chaos.midnight import ZONE, write_zone
from sfmc_harness.chaos.plan import ANY_FILE, DATED_FILE, EXACT_FILE, FAULTS, FIRST, SECOND, Plan
from sfmc_harness.chaos.producer import line_of

NOW = 1_800_000_000.0
SPECS = {"any": ANY_FILE, "exact": EXACT_FILE, "dated": DATED_FILE}
ORDER = Order(
    way="celery", seed="1", count=2000, seconds=1, file_specs=SPECS, journal="", broker="", prefix="",
    midnight=NOW, days=("20270114", "20270115"), features=("priorities", "times", "arguments", "refusals"),
)  # fmt: skip


def drawn(order: Order = ORDER, now: float = NOW) -> list[Message]:
    return list(Messages(order, random.Random(order.seed), lambda: now))


@pytest.mark.parametrize("at", [NOW, NOW + 1, NOW + 43_199, NOW + 43_201, NOW + 86_399])
def test_the_day_of_the_zone_ends_when_it_should(tmp_path: Path, at: float) -> None:
    midnight = write_zone(tmp_path, at)

    with (tmp_path / ZONE).open("rb") as file:
        zone = ZoneInfo.from_file(file)
    begun = datetime.fromtimestamp(midnight.at, zone)
    assert (midnight.at, f"{begun:%Y%m%d %H%M%S}") == (at, f"{midnight.days[1]} 000000")
    assert f"{begun - timedelta(seconds=1):%Y%m%d}" == midnight.days[0]
    assert midnight.name(DATED_FILE, at - 1) == f"dated_{midnight.days[0]}.csv"


def test_a_stock_sender_uses_every_priority_and_every_kind_of_time() -> None:
    options = [message.options for message in drawn() if not message.is_refused]

    assert {each["priority"] for each in options} == set(range(10))
    assert {"eta" in each for each in options} == {"expires" in each for each in options} == {True, False}
    ahead = [each["eta"].timestamp() - NOW for each in options if "eta" in each]
    assert max(ahead) == FAR
    assert any(each["expires"].timestamp() < NOW for each in options if "expires" in each)


def test_messages_that_no_one_can_accept_have_an_id_of_their_own_or_one_that_is_taken() -> None:
    sent = drawn()
    accepted = {message.request_id: message for message in sent if not message.is_refused}
    refused = [message for message in sent if message.is_refused]

    taken = [message for message in refused if message.request_id in accepted]
    assert taken
    assert all(message.key != accepted[message.request_id].key for message in taken)
    assert {message.task for message in refused} == {"imports.start", "imports.stop"}


def test_a_producer_of_ours_sends_nothing_that_only_a_stock_sender_can() -> None:
    sent = drawn(replace(ORDER, way="submit"))

    assert not [message for message in sent if message.options or message.is_refused or "tenant" in message.arguments]


@pytest.mark.parametrize(("now", "usual"), [(NOW - 1, "dated_20270114.csv"), (NOW, "dated_20270115.csv")])
def test_most_files_of_a_dated_definition_have_the_name_of_their_day(now: float, usual: str) -> None:
    files = [message.arguments["file"] for message in drawn(now=now) if message.arguments.get("file")]
    names = [file["name"] for file in files if file["name"].startswith("dated")]

    assert len(names) / 2 < names.count(usual) < len(names)


def test_the_journal_says_which_times_a_message_carries() -> None:
    message = next(each for each in drawn() if "eta" in each.options and "expires" in each.options)

    line = line_of(ORDER, message, 2)

    assert line["eta"] == message.options["eta"].timestamp()
    assert line["expires"] == message.options["expires"].timestamp()
    assert (line["tries"], line["refused"]) == (2, False)


def test_a_plan_has_the_faults_that_were_asked_for_and_without_a_rate_none() -> None:
    plan = Plan(seed=1, requests=80, seconds=10)

    assert all(plan.has(fault) for fault in FAULTS)
    assert plan.deployments == (FIRST, SECOND)
    assert replace(plan, only=frozenset({"bomb"})).deployments == (FIRST,)
    assert not any(replace(plan, fault_rate=0.0).has(fault) for fault in FAULTS)

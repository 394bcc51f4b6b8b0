"""The events of dead letters over a real server: each comes once, whoever dies in between."""

import json
from typing import Any

import pytest
import redis as redis_py
from celery import Celery

from sfmc_import.ledger import LedgerSettings, RedisLedger
from sfmc_import.messages import publish_rejections
from sfmc_import.request import StartRequest
from sfmc_import.settings import Settings
from sfmc_local.redis_server import Valkey
from sfmc_transport import Keys
from sfmc_transport.delivery import Delivery, Limits
from tests.support.event_schema import problems_in

SETTINGS = Settings(account_id="510001234")
KEYS = Keys(SETTINGS.transport_prefix, SETTINGS.broker_prefix)


def dead_letter(raw: redis_py.Redis, entry: bytes, reason: str = "undecodable") -> str:
    delivery = Delivery(raw.connection_pool, KEYS, "one", Limits(dead_after=60, dead_letters=100))
    raw.lpush("imports", entry)
    raw.execute_command(*delivery.pop_command("imports", 1))
    letter = delivery.dead_letter_entry("imports", entry, reason, "why")
    assert letter
    return letter


def events(raw: redis_py.Redis) -> list[dict[str, Any]]:
    return [json.loads(fields[b"event"]) for _, fields in raw.xrange("sfmc-import:events")]


class DiedBeforeTheNoteError(BaseException):
    """The process ends between the event and the note that it was published."""


def test_each_dead_letter_is_one_event(raw: redis_py.Redis, ledger: RedisLedger) -> None:
    letters = [dead_letter(raw, entry) for entry in (b"one", b"two")]

    assert publish_rejections(raw, SETTINGS, ledger) == 2
    assert publish_rejections(raw, SETTINGS, ledger) == 0

    assert [event["data"]["dead_letter"] for event in events(raw)] == letters
    assert {event["type"] for event in events(raw)} == {"sfmc.import.message_rejected"}
    assert problems_in(raw) == []


def test_a_dead_letter_whose_event_went_to_another_server_is_reported_again(
    raw: redis_py.Redis, ledger: RedisLedger, own_valkey: Valkey
) -> None:
    letter = dead_letter(raw, b"one")
    with redis_py.Redis.from_url(own_valkey.url) as old:
        assert publish_rejections(raw, SETTINGS, RedisLedger(old, LedgerSettings())) == 1

    assert publish_rejections(raw, SETTINGS, ledger) == 1
    assert publish_rejections(raw, SETTINGS, ledger) == 0
    assert [event["data"]["dead_letter"] for event in events(raw)] == [letter]


def test_a_process_that_dies_after_the_event_costs_no_second_one(raw: redis_py.Redis, ledger: RedisLedger) -> None:
    dead_letter(raw, b"one")

    class Dying:
        keys, load = ledger.keys, ledger.load

        def report(self, *arguments: Any) -> bool:
            ledger.report(*arguments)
            raise DiedBeforeTheNoteError

    with pytest.raises(DiedBeforeTheNoteError):
        publish_rejections(raw, SETTINGS, Dying())  # type: ignore[arg-type]

    assert publish_rejections(raw, SETTINGS, ledger) == 1
    assert len(events(raw)) == 1


def test_an_error_of_ours_with_one_dead_letter_keeps_no_other_from_being_reported(
    raw: redis_py.Redis, ledger: RedisLedger
) -> None:
    poison, other = [dead_letter(raw, entry) for entry in (b"one", b"two")]

    class Breaking:
        """The ledger, that raises an error of its own for one of them."""

        def __getattr__(self, name: str) -> Any:
            return getattr(ledger, name)

        def report(self, report_id: str, *arguments: Any) -> bool:
            if report_id.endswith(poison):
                raise OverflowError
            return ledger.report(report_id, *arguments)

    assert publish_rejections(raw, SETTINGS, Breaking()) == 1  # type: ignore[arg-type]
    assert [event["data"]["dead_letter"] for event in events(raw)] == [other]
    assert publish_rejections(raw, SETTINGS, ledger) == 1


def start_message(raw: redis_py.Redis, url: str, *args: Any, **kwargs: Any) -> bytes:
    """What a stock Celery client writes for `imports.start`."""
    with Celery("somebody-else", broker=url, set_as_current=False) as app:
        app.send_task("imports.start", args=args, kwargs=kwargs, queue="imports", task_id="r-1")
    entry: Any = raw.rpop("imports")
    return bytes(entry)


def names(raw: redis_py.Redis) -> list[str]:
    return [event["type"].removeprefix("sfmc.import.") for event in events(raw)]


def test_a_request_whose_message_died_with_its_workers_goes_on_from_the_ledger(
    raw: redis_py.Redis, ledger: RedisLedger, redis_server: Valkey
) -> None:
    dead_letter(raw, start_message(raw, redis_server.celery_url, "daily", source="s"), "returned_too_often")

    assert publish_rejections(raw, SETTINGS, ledger) == 0
    assert publish_rejections(raw, SETTINGS, ledger) == 0

    assert names(raw) == ["accepted"]
    assert raw.zscore(ledger.keys.due, "r-1") is not None
    recorded = ledger.load("r-1")
    assert recorded is not None
    assert (recorded.customer_key, recorded.source) == ("daily", "s")


@pytest.mark.parametrize("packed", ["gzip", "bzip2", "lzma"])
def test_a_packed_message_goes_on_from_the_ledger_as_well(
    raw: redis_py.Redis, ledger: RedisLedger, redis_server: Valkey, packed: str
) -> None:
    with Celery("somebody", broker=redis_server.celery_url, set_as_current=False) as app:
        app.send_task("imports.start", ["daily"], {"source": "s"}, queue="imports", task_id="r-1", compression=packed)
    entry: Any = raw.rpop("imports")
    dead_letter(raw, bytes(entry), "returned_too_often")

    assert publish_rejections(raw, SETTINGS, ledger) == 0
    assert names(raw) == ["accepted"]


@pytest.mark.parametrize("task", ["imports.sweep", "imports.follow"])
@pytest.mark.parametrize(("reason", "events"), [("returned_too_often", []), ("wrong_arguments", ["message_rejected"])])
def test_a_message_of_our_own_that_the_next_sweep_sends_anew_is_no_rejection(
    raw: redis_py.Redis, ledger: RedisLedger, redis_server: Valkey, task: str, reason: str, events: list[str]
) -> None:
    with Celery("a worker", broker=redis_server.celery_url, set_as_current=False) as app:
        app.send_task(task, [["r-1"]], queue="imports")
    entry: Any = raw.rpop("imports")
    dead_letter(raw, bytes(entry), reason)

    assert publish_rejections(raw, SETTINGS, ledger) == len(events)
    assert names(raw) == events


@pytest.mark.parametrize("body", ["AAAA", "H4sIAAAAAAAA", "=", "!!"])
def test_a_packed_body_that_cannot_be_read_is_rejected(
    raw: redis_py.Redis, ledger: RedisLedger, redis_server: Valkey, body: str
) -> None:
    message = json.loads(start_message(raw, redis_server.celery_url, "daily"))
    message["headers"]["compression"] = "application/x-gzip"
    dead_letter(raw, json.dumps(message | {"body": body}).encode(), "returned_too_often")

    assert publish_rejections(raw, SETTINGS, ledger) == 1
    assert names(raw) == ["message_rejected"]


def test_a_request_that_the_ledger_has_is_not_called_rejected_for_its_message(
    raw: redis_py.Redis, ledger: RedisLedger, redis_server: Valkey
) -> None:
    entry = start_message(raw, redis_server.celery_url, customer_key="daily")
    for _ in range(2):
        dead_letter(raw, entry, "returned_too_often")
        publish_rejections(raw, SETTINGS, ledger)

    assert names(raw) == ["accepted"]


@pytest.mark.parametrize("given", [{"customer_key": ""}, {"customer_key": "daily", "force": True}])
def test_a_message_that_is_no_request_is_rejected_also_when_its_workers_died(
    raw: redis_py.Redis, ledger: RedisLedger, redis_server: Valkey, given: dict[str, Any]
) -> None:
    dead_letter(raw, start_message(raw, redis_server.celery_url, **given), "returned_too_often")

    assert publish_rejections(raw, SETTINGS, ledger) == 1
    assert names(raw) == ["message_rejected"]


def test_a_taken_id_is_rejected_and_the_first_request_stays(
    raw: redis_py.Redis, ledger: RedisLedger, redis_server: Valkey
) -> None:
    for key in ("daily", "weekly"):
        dead_letter(raw, start_message(raw, redis_server.celery_url, customer_key=key), "returned_too_often")
        publish_rejections(raw, SETTINGS, ledger)

    assert names(raw) == ["accepted", "message_rejected"]
    recorded = ledger.load("r-1")
    assert recorded is not None
    assert recorded.customer_key == "daily"


def rejections(raw: redis_py.Redis) -> list[dict[str, Any]]:
    return [event["data"] for event in events(raw) if event["type"].endswith("message_rejected")]


@pytest.mark.parametrize("reason", ["invalid_request", "wrong_arguments", "unreadable_body", "task_failed"])
def test_a_message_that_is_no_request_does_not_speak_under_the_id_of_another_request(
    raw: redis_py.Redis, ledger: RedisLedger, redis_server: Valkey, reason: str
) -> None:
    ledger.accept(StartRequest(request_id="r-1", customer_key="daily", mid="510001234", content="one"))

    dead_letter(raw, start_message(raw, redis_server.celery_url, customer_key=7), reason)
    publish_rejections(raw, SETTINGS, ledger)

    [data] = rejections(raw)
    assert (data["request_id"], data["message_id"], data["reason"]) == (None, "r-1", reason)
    assert problems_in(raw) == []


def test_a_message_that_is_no_request_names_the_request_that_it_would_have_been(
    raw: redis_py.Redis, ledger: RedisLedger, redis_server: Valkey
) -> None:
    dead_letter(raw, start_message(raw, redis_server.celery_url, customer_key=7), "invalid_request")
    publish_rejections(raw, SETTINGS, ledger)

    assert [data["request_id"] for data in rejections(raw)] == ["r-1"]


def test_the_event_of_a_taken_id_names_the_request_that_has_it(
    raw: redis_py.Redis, ledger: RedisLedger, redis_server: Valkey
) -> None:
    ledger.accept(StartRequest(request_id="r-1", customer_key="daily", mid="510001234", content="one"))

    dead_letter(raw, start_message(raw, redis_server.celery_url, "weekly"), "id_taken")
    publish_rejections(raw, SETTINGS, ledger)

    assert [data["request_id"] for data in rejections(raw)] == ["r-1"]

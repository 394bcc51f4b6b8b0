"""A wait says until when it is tried, and what the request is then."""

from typing import Any

import pytest

from sfmc_import.waiting import sentence, waiting_of


def deadline(state: str, reason: str, code: str | None = None, **more: Any) -> tuple[float | None, str | None]:
    error = {} if code is None else {"last_error": {"code": code, "text": "no", "at": 5_000}}
    found = waiting_of({"state": state, "waits_because": reason, **error, **more}, 10.0)
    assert found is not None
    return found.deadline, found.then


@pytest.mark.parametrize(
    ("state", "reason", "code", "fields", "found"),
    [
        ("retrying", "backoff", "13", {"retry_until": 60.0}, (60.0, "gave_up")),
        ("retrying", "backoff", "13", {"retry_until": 60.0, "expires": 50.0}, (50.0, "expired")),
        ("retrying", "rate_limited", "13", {"retry_until": 60.0}, (60.0, "gave_up")),
        ("retrying", "rate_limited", "quota", {"retry_until": 60.0}, (None, None)),
        ("retrying", "rate_limited", "17", {"retry_until": 60.0}, (None, None)),
        ("retrying", "paused", "13", {"retry_until": 60.0}, (None, None)),
        ("retrying", "circuit_open", "12", {"retry_until": 60.0}, (None, None)),
        ("retrying", "circuit_open", "12", {"retry_until": 60.0, "expires": 90.0}, (90.0, "expired")),
        ("deferred", "window", None, {"expires": 90.0}, (90.0, "expired")),
        ("accepted", "queued", None, {}, (None, None)),
        ("reconciling", "reconciling", "reset", {"reconcile_until": 60.0, "expires": 50.0}, (60.0, "start_unknown")),
        ("reconciling", "reconciling", "reset", {"reconcile_until": 60.0, "denied": "500"}, (60.0, "retrying")),
        (
            "reconciling",
            "reconciling",
            "reset",
            {"reconcile_until": 60.0, "ending": {"state": "gave_up", "extra": {}}},
            (60.0, "gave_up"),
        ),
        ("reconciling", "reconciling", "reset", {}, (None, None)),
        ("started", "following", None, {"follow_until": 60.0}, (60.0, "follow_timed_out")),
        ("started", "following", "read_timeout", {"follow_until": 60.0}, (60.0, "follow_timed_out")),
        ("started", "following", "9", {"follow_until": 60.0}, (None, None)),
    ],
)
def test_a_wait_ends_at_the_deadline_of_what_is_done_unless_the_whole_account_is_hit(
    state: str, reason: str, code: str | None, fields: dict[str, Any], found: tuple[float | None, str | None]
) -> None:
    assert deadline(state, reason, code, **fields) == found


@pytest.mark.parametrize("limit", ["quota", "budget", "running_limit"])
def test_what_failed_before_a_limit_of_ours_keeps_its_deadline_unless_it_hits_the_whole_account(limit: str) -> None:
    for first, found in (("13", (60.0, "gave_up")), ("12", (None, None))):
        record = {"state": "retrying", "waits_because": "rate_limited", "retry_until": 60.0}
        error = {"code": limit, "text": "no", "at": 5_000, "first_code": first, "first_at": 1_000}
        waiting = waiting_of(record | {"last_error": error}, 10.0)

        assert waiting is not None
        assert (waiting.deadline, waiting.then) == found


def test_an_error_without_its_beginning_began_when_it_was_noted() -> None:
    error = {"code": "9", "text": "no", "at": 5_000}
    records = ({"last_error": error}, {"last_error": {**error, "since": 2_000}})
    found = [waiting_of({"state": "retrying", "waits_because": "backoff", **each}, None) for each in records]

    assert [each and each.last_error and each.last_error["since"] for each in found] == [5.0, 2.0]


def test_a_start_that_waits_for_midnight_is_not_said_to_import_another_file():
    assert "another file" not in sentence("file_check", "near_midnight")
    assert "midnight" in sentence("file_check", "near_midnight")
    assert "another file" in sentence("file_check", "pattern_mismatch")

"""An attempt that is under way says that it has no answer; what the request waited for before it stays to be seen."""

from typing import Any

import pytest

from sfmc_import.attempts import ASKED_BEFORE, SENT, Attempt, attempt_of

ERROR = {"code": "9", "text": "in maintenance", "at": 5_000}
RECORD: dict[str, Any] = {"state": "starting", "attempt": 3, "since": 9.0}


def test_a_further_attempt_says_why_the_request_waited_before_it_and_what_failed_last() -> None:
    record = RECORD | {"waited": "backoff", "waited_since": 2.0, "last_error": ERROR}
    error = {"code": "9", "text": "in maintenance", "at": 5.0, "since": 5.0}

    assert attempt_of(record) == Attempt(
        number=3, since=9.0, waited="backoff", waited_since=2.0, last_error=error, text=ASKED_BEFORE
    )


def test_a_further_attempt_without_a_wait_says_its_number_alone() -> None:
    assert attempt_of(RECORD) == Attempt(
        number=3, since=9.0, waited=None, waited_since=None, last_error=None, text=ASKED_BEFORE
    )


@pytest.mark.parametrize("change", [{"attempt": 0}, {"state": "retrying"}, {"state": "started"}])
def test_what_is_no_attempt_says_nothing(change: dict[str, Any]) -> None:
    assert attempt_of(RECORD | change) is None


def test_a_request_without_an_attempt_says_nothing() -> None:
    assert attempt_of({"state": "accepted"}) is None


def test_an_attempt_says_since_when_marketing_cloud_has_not_answered_its_start() -> None:
    first = attempt_of(RECORD | {"attempt": 1, "sent": True, "intended_at": 11.0})
    again = attempt_of(RECORD | {"sent": True, "intended_at": 4.0})

    assert first is not None
    assert again is not None
    assert (first.text, first.asked_at, again.asked_at) == (SENT, 11.0, 9.0)

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


def test_an_attempt_says_until_when_the_worker_that_sent_its_start_waits() -> None:
    sent = attempt_of(RECORD | {"sent": True, "answer_by": 11.0})
    withdrawn = attempt_of(RECORD | {"sent": False, "answer_by": 11.0})

    assert sent is not None
    assert withdrawn is not None
    assert (sent.text, sent.until) == (SENT, 11.0)
    assert (withdrawn.text, withdrawn.until) == (ASKED_BEFORE, None)

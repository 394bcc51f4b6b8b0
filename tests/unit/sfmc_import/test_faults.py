"""Row by row: what may follow each situation and each code, and what is not in the table."""

import pytest

from sfmc_import.faults import (
    CODES,
    SITUATIONS,
    Ambiguous,
    NotApplied,
    Rejected,
    after_code,
    after_query,
    after_situation,
)

NEVER_SENT = (
    "refused",
    "unreachable",
    "dns",
    "connect_timeout",
    "tls",
    "proxy_refused",
    "lease_over",
    "not_sent",
    "token_unavailable",
)
TURNED_AWAY = ("login_failed", "token_refused", "http_refused", "http_429")
MAY_HAVE_ARRIVED = (
    "read_timeout",
    "reset",
    "broken_reply",
    "oversized_reply",
    "redirected",
    "http_503",
    "http_denied",
    "http_status",
    "unreadable_reply",
    "no_task_id",
    "server_fault",
    "unexpected",
)
REFUSED_FOR_GOOD = ("http_400", "unsendable", "other_business_unit", "permission_failed", "not_retrievable")


@pytest.mark.parametrize("situation", [*NEVER_SENT, *TURNED_AWAY])
def test_what_was_never_sent_or_turned_away_is_not_applied(situation):
    assert isinstance(after_situation(situation, "…"), NotApplied)


@pytest.mark.parametrize("situation", MAY_HAVE_ARRIVED)
def test_what_may_have_arrived_is_ambiguous(situation):
    assert isinstance(after_situation(situation, "…"), Ambiguous)


@pytest.mark.parametrize("situation", REFUSED_FOR_GOOD)
def test_what_would_be_refused_again_is_rejected(situation):
    assert isinstance(after_situation(situation, "…"), Rejected)


def test_every_situation_of_the_table_has_a_test_above():
    assert set(SITUATIONS) == {*NEVER_SENT, *TURNED_AWAY, *MAY_HAVE_ARRIVED, *REFUSED_FOR_GOOD}


def test_an_unlisted_situation_is_ambiguous():
    assert after_situation("meteor", "…") == Ambiguous("meteor", "…")


@pytest.mark.parametrize("code", [9, 10, 12, 13, 17])
def test_codes_of_what_was_not_processed_are_not_applied(code):
    assert isinstance(after_code(code, "…"), NotApplied)


@pytest.mark.parametrize("code", [4, 5, 6, 11, 43000, 43010, 43020, 43060])
def test_codes_of_a_refusal_for_good_are_rejected(code):
    assert after_code(code, "why") == Rejected(str(code), "why")


def test_code_2_is_ambiguous():
    assert after_code(2, "Exception occurred during [Schedule::Start] ErrorID: 7").code == "2"
    assert isinstance(after_code(2, "…"), Ambiguous)


def test_every_code_of_the_table_has_a_test_above():
    assert set(CODES) == {2, 4, 5, 6, 9, 10, 11, 12, 13, 17, 43000, 43010, 43020, 43060}


@pytest.mark.parametrize("code", [1, 8, 211, 99999])
def test_an_unknown_code_is_looked_up_and_tried_again_before_it_rejects(code):
    assert after_code(code, "why") == Ambiguous(str(code), "why", denied=True)


@pytest.mark.parametrize("code", [None, 0])
def test_an_error_without_a_code_is_looked_up_and_tried_again_before_it_rejects(code):
    text = "Guid should contain 32 digits"

    assert after_code(code, text) == Ambiguous("no_code", text, denied=True)


@pytest.mark.parametrize("text", ["API Permission Failed", "Insufficient privileges"])
def test_a_missing_right_is_rejected_with_advice(text):
    fault = after_code(None, text)

    assert fault.code == "permission_failed"
    assert fault.text.startswith(f"{text} (")


def test_only_a_503_among_the_situations_says_that_nothing_was_done():
    assert [name for name in MAY_HAVE_ARRIVED if after_situation(name, "…").denied] == ["http_503", "http_denied"]


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (1, "A database problem. This request was not processed.", NotApplied),
        (None, "This request was not processed.", NotApplied),
        (None, "Exception occurred during [Schedule::Start] ErrorID = 4711", Ambiguous),
        (None, "Timeout expired.  The timeout period elapsed", Ambiguous),
        (43010, "This request was not processed.", Rejected),
    ],
)
def test_a_known_text_stands_for_a_code_that_is_missing_or_unknown(code, text, expected):
    assert isinstance(after_code(code, text), expected)


@pytest.mark.parametrize(
    "situation",
    ["token_unavailable", "login_failed", "token_refused", "proxy_refused", "http_refused", "http_429", "http_503"],
)
def test_login_and_throttling_hit_the_whole_account(situation):
    assert after_situation(situation, "…").account_wide


@pytest.mark.parametrize(("code", "wide"), [(9, True), (10, True), (17, True), (13, False)])
def test_maintenance_outage_and_throttling_hit_the_whole_account_but_one_deadlock_does_not(code, wide):
    assert after_code(code, "…").account_wide is wide


def test_the_time_that_the_service_named_is_kept():
    assert after_situation("http_429", "…", retry_after=7.0).retry_after == 7.0


@pytest.mark.parametrize("situation", MAY_HAVE_ARRIVED)
def test_a_query_is_never_ambiguous(situation):
    fault = after_query(after_situation(situation, "why", retry_after=7.0))

    assert fault == NotApplied(situation, "why", account_wide=situation == "http_503", retry_after=7.0)


def test_a_bare_400_is_final_for_a_start_but_not_for_a_query():
    assert after_query(after_situation("http_400", "why")) == NotApplied("http_400", "why")


def test_a_query_that_is_refused_stays_refused():
    assert after_query(Rejected("4", "why")) == Rejected("4", "why")

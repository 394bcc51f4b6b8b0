"""The clock that can be set, the dates it writes, and tokens that end by it."""

from datetime import UTC, datetime, timedelta

from sfmc_sandbox.clock import Clock, server_date_time, us_date_time
from sfmc_sandbox.login import Tokens
from sfmc_sandbox.settings import Principal
from sfmc_sandbox.store import Store

ANN = Principal("ann", "secret")
MOMENT = datetime(2026, 7, 1, 5, 0, 7, tzinfo=UTC)


def test_server_time_is_central_standard_time_also_in_summer() -> None:
    assert server_date_time(MOMENT.timestamp()) == "2026-06-30T23:00:07.000"
    assert us_date_time(MOMENT.timestamp()) == "6/30/2026 11:00:07 PM"


def test_midnight_and_noon_are_twelve() -> None:
    assert us_date_time(datetime(2024, 5, 9, 6, tzinfo=UTC).timestamp()) == "5/9/2024 12:00:00 AM"
    assert us_date_time(datetime(2024, 5, 9, 18, tzinfo=UTC).timestamp()) == "5/9/2024 12:00:00 PM"


def test_a_frozen_clock_moves_only_when_it_is_asked_to() -> None:
    clock = Clock()
    clock.freeze()
    clock.set(MOMENT)
    assert clock.now() == MOMENT
    clock.advance(90)
    assert clock.now() == MOMENT + timedelta(seconds=90)
    clock.resume()
    assert timedelta() <= clock.now() - MOMENT - timedelta(seconds=90) < timedelta(seconds=30)
    clock.reset()
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=30)


def test_a_token_lives_as_long_as_the_setting_says_and_the_client_gets_less() -> None:
    clock = Clock()
    clock.freeze()
    tokens = Tokens(clock, 1200, Store(None), [])
    grant = tokens.find(tokens.issue(ANN, 7))
    assert grant is not None
    assert (grant.principal, grant.mid, tokens.expires_in) == (ANN, 7, 1079)
    clock.advance(1199.9)
    assert not tokens.is_expired(grant)
    clock.advance(0.1)
    assert tokens.is_expired(grant)
    assert Tokens(clock, 5, Store(None), []).expires_in == 5


def test_an_invented_token_stands_for_no_one() -> None:
    assert Tokens(Clock(), 1200, Store(None), []).find("invented") is None


def test_a_secret_is_never_shown() -> None:
    assert "secret" not in repr(ANN)

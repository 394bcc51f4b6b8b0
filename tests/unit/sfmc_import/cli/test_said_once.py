"""What `status` says once or shortly, and what needs Redis itself where an API is set."""

from datetime import UTC, datetime

import pytest

from sfmc_import.access import unused_api
from sfmc_import.cli.overview import Advised
from sfmc_import.errors import SettingsError
from sfmc_import.operations import loss_lines
from sfmc_import.operations.lost_writes import LossView
from sfmc_import.operations.troubles import TroubleView
from sfmc_import.settings import load

AT = datetime(2026, 3, 7, 12, tzinfo=UTC)
FIX = "check SFMC_AUTH_URL, the network and the proxy"
API = {"SFMC_API_URL": "https://api.test", "SFMC_API_TOKEN": "sfmc_x"}


def trouble(advice: str) -> TroubleView:
    return TroubleView(mid="1", reason="circuit_open", text="", since=None, codes=(), advice=advice)


def test_the_advice_of_one_cause_is_printed_once() -> None:
    lines = [f"    to do: {FIX}; it goes on by itself after that", "    request a", "    to do: look at it"]
    advised = Advised((trouble(f"To do: {FIX}. Requests go on by themselves after that."),))

    assert [*advised.once(iter(lines))] == ["    to do: as said above", "    request a", "    to do: look at it"]
    assert [*advised.once(iter(lines[2:]))] == ["    to do: as said above"]
    assert [*Advised(()).once(iter(lines + lines))][:4:3] == [lines[0], "    to do: as said above"]


def loss(*, may_be_new: bool) -> LossView:
    return LossView(since=AT, until=AT, may_be_new=may_be_new, text="A long text", advice="compare")


def test_a_ledger_that_may_be_new_is_one_short_line_and_a_loss_has_all_its_words() -> None:
    assert len(loss_lines.line(loss(may_be_new=True))) < 180
    assert loss_lines.line(loss(may_be_new=True)).startswith("The ledger was empty at 2026-03-07 12:00:00 UTC")
    assert loss_lines.line(loss(may_be_new=False)) == "A long text; to do: compare"


def test_what_needs_redis_refuses_an_api_alone_and_says_which_redis_it_uses_beside_one() -> None:
    with pytest.raises(SettingsError, match="worker needs Redis itself; set SFMC_REDIS_URL"):
        unused_api(load(API), "worker")
    both = unused_api(load(API | {"SFMC_REDIS_URL": "redis://r:6379/0"}), "worker")

    assert "worker needs Redis itself: it uses that of SFMC_REDIS_URL" in both
    assert unused_api(load({}), "worker") == ""

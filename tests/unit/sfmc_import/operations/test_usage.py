"""What an account has used is shown by kind, business unit and definition, for the day and the month of its zone."""

from types import SimpleNamespace
from typing import Any

import pytest

from sfmc_import.cli.usage import usage_lines
from sfmc_import.ledger import LedgerReader, LedgerSettings
from sfmc_import.operations.usage import DefinitionUsage, usage
from sfmc_import.permits import QuotaLimits
from sfmc_import.settings import Settings
from tests.support.ledger_world import START_MS, FakeRedisWorld

HOST = "mc.soap.example"


@pytest.fixture
def access() -> Any:
    world = FakeRedisWorld(LedgerSettings())
    reader = LedgerReader(world.client, world.keys)
    reader.now = lambda: START_MS / 1000  # type: ignore[method-assign]
    quota = world.ledger.quota(QuotaLimits(account=HOST))
    quota.take("start", 1, 1, "7", {"all": 5, "k:poll": 2, "k:perform": 3, "u:7": 5, "d:7:A:b": 2, "d:7:B": 1})
    world.client.hset(world.keys.account, "account", f"7 at {HOST}")
    return SimpleNamespace(client=world.client, keys=world.keys, reader=reader, settings=Settings(calls_per_day=100))


def test_calls_of_today_and_of_this_month_are_shown_with_the_definitions_that_have_most_first(access: Any):
    found = usage(access)

    assert (found.account, found.calls_of_year) == (HOST, 5)
    assert (found.today.period, found.month.period) == ("2027-01-15", "2027-01")
    assert found.today.kinds == {"perform": 3, "poll": 2}
    assert found.month.business_units == {"7": 5}
    assert found.today.definitions == [
        DefinitionUsage(mid="7", customer_key="A:b", calls=2),
        DefinitionUsage(mid="7", customer_key="B", calls=1),
    ]


def test_people_read_the_budget_beside_what_was_used(access: Any):
    lines = [*usage_lines(usage(access))]

    assert "today (2027-01-15): 5 calls of a budget of 100" in lines
    assert "this month (2027-01): 5 calls" in lines

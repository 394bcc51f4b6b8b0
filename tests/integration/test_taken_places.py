"""A request that waits until fewer imports run names those that do."""

from collections.abc import Iterator
from typing import Any

import pytest

from sfmc_import.cli.requests_shown import request_lines, table_lines
from sfmc_import.ledger.opening import open_ledger
from sfmc_import.operations import requests
from sfmc_import.policy import Policy
from sfmc_import.runs import Accepted, Definition
from sfmc_import.states import StartNow
from tests.support.console import World, console_over


@pytest.fixture
def world(redis_server: Any) -> Iterator[World]:
    with console_over(redis_server.url) as made:
        yield made


def asked(world: World, key: str, most: int) -> str:
    """Submit a request of a group of which so many may run; one that may start runs then."""
    ledger = open_ledger(world.access.settings)
    request = ledger.load(world.submit(name=f"{key}.csv", key=key))
    assert request is not None
    policy = Policy(group="nightly", group_limit=most)
    decision = ledger.claim(request, "worker", policy, Definition(customer_key=key))
    if not isinstance(decision, StartNow):
        # The first look only puts it in line.
        decision = ledger.claim(request, "another", policy, Definition(customer_key=key))
    if isinstance(decision, StartNow):
        assert ledger.record_intent(decision.lease, (), window=0) is not None
        assert ledger.started(decision.lease, Accepted(task_id=f"47{key}"), 0, policy, reconciled=False)
    return request.request_id


def test_a_full_group_names_who_has_its_places_on_every_surface(world: World) -> None:
    holder, waiting = asked(world, "g1", 1), asked(world, "g2", 1)
    view, now = requests.show(world.access, waiting), world.access.reader.now()
    person = world.person("viewer")
    said = f"g1: request {holder} is started since 20"

    assert view.waiting is not None
    assert str(view.waiting.places).startswith(said)
    assert str(view.waiting.places).endswith("UTC, Task.ID 47g1")
    assert all(said in " ".join(map(str, lines)) for lines in (request_lines(view, now), table_lines(view, now)))
    assert said in world.ask("GET", f"/v1/requests/{waiting}").json()["waiting"]["places"]
    assert all(said in person.see(path).text for path in ("/", f"/request?id={waiting}"))


def test_of_many_the_first_are_named_and_the_others_counted(world: World) -> None:
    for number in range(12):
        asked(world, f"r{number}", 12)
    view = requests.show(world.access, asked(world, "last", 12))

    assert view.waiting is not None
    assert str(view.waiting.places).count("is started") == 3
    assert str(view.waiting.places).endswith("; and 9 more")

"""Files that start nothing, kept up between two looks at their page."""

import pytest

from sfmc_import.ledger.opening import open_ledger
from sfmc_import.operations.unmatched import unmatched_files
from sfmc_import.request import FileInfo
from sfmc_server.console import strays
from tests.support.console import MID, World


def arrives(world: World, name: str) -> None:
    file = FileInfo(location="/in", name=name, version="1")
    shown = {"location": file.location, "name": name, "fingerprint": file.fingerprint}
    detail = {"mid": MID, "file": shown, "text": "no definition matches", "reason": "no_match"}
    open_ledger(world.access.settings).report(file.fingerprint, "unrouted", MID, name, detail)


@pytest.mark.parametrize("looked_at", [3, 50_000], ids=["more came than is read", "little came"])
def test_a_second_look_shows_the_same_as_a_first_one(world: World, monkeypatch, looked_at: int) -> None:
    known = strays.Strays()
    assert known.read(world.access.stream) == []
    arrives(world, "a.csv")
    arrives(world, "b.csv")
    assert [file.name for file in known.read(world.access.stream)] == ["b.csv", "a.csv"]

    monkeypatch.setattr(strays, "LOOKED_AT", looked_at)
    world.client.submit(customer_key="k", mid=MID, file=FileInfo(location="/in", name="a.csv", version="1"))
    arrives(world, "c.csv")

    found = known.read(world.access.stream)
    assert [file.name for file in found] == ["c.csv", "b.csv"][: 3 if looked_at > 3 else 2]
    assert found == unmatched_files(world.access.stream.backwards(50_000))

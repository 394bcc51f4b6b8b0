"""Files that start nothing, kept up between two looks at their page."""

import re

import pytest

from sfmc_import.ledger.opening import open_ledger
from sfmc_import.operations import status
from sfmc_import.operations.unmatched import unmatched_files
from sfmc_import.request import FileInfo
from sfmc_server.console import strays
from sfmc_transport import dead_letters
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


def test_the_first_page_counts_what_the_list_has_and_no_file_that_became_a_request(world: World) -> None:
    for name in ("a.csv", "b.csv"):
        arrives(world, name)
    world.client.submit(customer_key="k", mid=MID, file=FileInfo(location="/in", name="a.csv", version="1"))
    world.console.feed.read()
    person = world.person("viewer")

    assert "<b>1</b> unmatched</a>" in person.see("/").text
    assert "<p>1 file.</p>" in person.see("/unmatched").text
    assert status.unmatched(world.access).count == 1


def test_no_cell_of_a_table_is_blank(world: World) -> None:
    access = world.access
    assert dead_letters.add(access.broker, access.broker_keys, b"{}", queue="", detail="", once=("mark", 60))
    page = world.person("viewer").see("/dead-letters").text
    cells = re.findall(r"<td [^>]*>(.*?)</td>", page, re.DOTALL)
    texts = [re.sub(r"<[^>]*>", "", each).strip() for each in cells]

    assert (len(texts), [each for each in texts if not each], texts[2]) == (5, [], "-")

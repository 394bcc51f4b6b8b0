"""The lists of what ended badly and of what is unfinished: in pages, whole, and filtered."""

from itertools import chain
from typing import Any

import pytest

from sfmc_import.access import ReadAccess
from sfmc_import.cli.request_lists import print_list
from sfmc_import.client import Client
from sfmc_import.faults import Rejected
from sfmc_import.ledger.opening import open_ledger
from sfmc_import.operations import listing, status
from sfmc_import.operations.errors import InvalidError
from sfmc_import.operations.listing import Filter
from sfmc_import.operations.local import LocalOperations
from sfmc_import.policy import Policy
from sfmc_import.request import FileInfo
from sfmc_import.settings import load

MID = "510001234"


@pytest.fixture
def access(redis_server: Any) -> ReadAccess:
    return ReadAccess(load({"SFMC_REDIS_URL": redis_server.url, "SFMC_ACCOUNT_ID": MID}))


def submitted(access: ReadAccess, *keys: str) -> list[str]:
    with Client.from_settings(access.settings) as client:
        return [client.submit(customer_key=key).request_id for key in keys]


def rejected(access: ReadAccess, *keys: str) -> list[str]:
    ledger, ids = open_ledger(access.settings), submitted(access, *keys)
    for each in ids:
        request = ledger.load(each)
        assert request
        ledger.unresolved(request, Rejected("43000", "no such definition"), 0.0, Policy())
    return ids


def pages(access: ReadAccess, wanted: Filter, limit: int) -> list[list[str]]:
    found, cursor = list[list[str]](), None
    while True:
        page = listing.requests(access, wanted, cursor, limit)
        found.append([each.request_id for each in page.items])
        if (cursor := page.next) is None:
            return found


def test_a_list_of_several_business_units_names_them(access: ReadAccess, capsys: pytest.CaptureFixture[str]) -> None:
    submitted(access, "a")
    operations = LocalOperations(access, "ann")
    print_list(operations, "unfinished", None, None, as_json=False)
    alone = capsys.readouterr().out
    with Client.from_settings(access.settings) as client:
        client.submit(customer_key="b", mid="7")
    print_list(operations, "unfinished", None, None, as_json=False)
    mixed = capsys.readouterr().out

    assert "business unit" not in alone
    assert sorted(line for line in mixed.splitlines() if "unit" in line) == [
        f"    business unit {MID}",
        "    business unit 7",
    ]
    assert mixed.splitlines()[-1] == "unfinished: 2"


def test_all_that_ended_badly_is_listed_in_pages_the_newest_first(access: ReadAccess) -> None:
    ids = rejected(access, "a", "b", "a", "c", "b")
    submitted(access, "d")

    assert [*chain(*pages(access, Filter(among="failures"), 2))] == ids[::-1]
    assert pages(access, Filter(among="failures"), 2)[0] == ids[:2:-1]
    assert [*chain(*pages(access, Filter(among="failures", customer_key="A"), 50))] == [ids[2], ids[0]]
    assert [*chain(*pages(access, Filter(among="failures", state="gave_up"), 50))] == []
    whole = status.status(access)
    assert (whole.failed, len(whole.failures), whole.unfinished) == (5, 5, 1)


def test_all_that_is_unfinished_is_listed_in_pages(access: ReadAccess) -> None:
    rejected(access, "x")
    ids = submitted(access, *"abcde")

    assert sorted(chain(*pages(access, Filter(among="unfinished"), 2))) == sorted(ids)
    assert [*chain(*pages(access, Filter(among="unfinished", customer_key="b"), 50))] == [ids[1]]


def test_a_list_that_there_is_not_is_refused(access: ReadAccess) -> None:
    with pytest.raises(InvalidError, match="the list failure is unknown"):
        listing.requests(access, Filter(among="failure"))


@pytest.mark.parametrize("among", ["failures", "unfinished", None])
def test_an_empty_list_of_a_business_unit_that_nothing_knows_says_so(access: ReadAccess, among: str | None) -> None:
    operations = LocalOperations(access, "ann")

    assert operations.requests(list=among, mid="77").hint == "no business unit 77 is known here"
    assert operations.requests(list=among, mid=MID).hint is None
    assert operations.requests(list=among).hint is None


@pytest.mark.parametrize("among", ["failures", "unfinished", None])
def test_a_list_of_a_mistyped_definition_says_which_one_may_be_meant(access: ReadAccess, among: str | None) -> None:
    rejected(access, "Daily_Orders")
    operations = LocalOperations(access, "ann")

    hint = "no definition with this key is known here; did you mean Daily_Orders?"
    assert operations.requests(list=among, customer_key="Daily_Order").hint == hint
    assert operations.requests(list=among, customer_key="daily_orders").hint is None


def test_files_without_a_definition_are_listed_for_one_business_unit(access: ReadAccess) -> None:
    with Client.from_settings(access.settings) as client:
        client.report(
            "unrouted", file=FileInfo(location="/in", name="a.csv"), detail={"text": "x", "reason": "no_match"}
        )
    operations = LocalOperations(access, "ann")
    found = {mid: operations.unmatched(5, mid) for mid in (None, MID, "77")}

    assert [each.count for each in found.values()] == [1, 1, 0]
    assert [each.hint for each in found.values()] == [None, None, "no business unit 77 is known here"]

"""An operator says that a bad end is dealt with: what is shown then, and what is refused."""

from typing import Any

import pytest

from sfmc_import.access import ReadAccess
from sfmc_import.cli.requests_shown import request_lines
from sfmc_import.client import Client
from sfmc_import.events.stream import facts
from sfmc_import.faults import Rejected
from sfmc_import.ledger.opening import open_ledger
from sfmc_import.operations import actions, listing, replaying, requests
from sfmc_import.operations.errors import ConflictError, InvalidError, NotFoundError
from sfmc_import.policy import Policy
from sfmc_import.settings import load


@pytest.fixture
def access(redis_server: Any) -> ReadAccess:
    return ReadAccess(load({"SFMC_REDIS_URL": redis_server.url, "SFMC_ACCOUNT_ID": "510001234"}))


def submitted(access: ReadAccess) -> str:
    with Client.from_settings(access.settings) as client:
        return client.submit(customer_key="daily").request_id


def rejected(access: ReadAccess) -> str:
    request_id, ledger = submitted(access), open_ledger(access.settings)
    request = ledger.load(request_id)
    assert request
    ledger.unresolved(request, Rejected("43010", "no such definition"), 0.0, Policy())
    return request_id


def test_a_failure_that_a_person_has_dealt_with_says_so_and_is_replayed_by_force_alone(access: ReadAccess) -> None:
    request_id = rejected(access)
    assert actions.settle(access, request_id, "ann", "started as orders2").state == "rejected"
    assert actions.settle(access, request_id, "ann", "started as orders2").state == "rejected"
    view = requests.show(access, request_id)

    assert (view.settled_operator, view.settled_reason, view.is_settled) == ("ann", "started as orders2", True)
    assert (view.advice, view.next) == ("nothing: an operator has said that it is dealt with", ["replay --force"])
    assert "  settled  by ann: started as orders2" in list(request_lines(view, 0.0))
    assert requests.failures(access, 10) == []
    assert facts([*requests.life(access, view)][-1]["data"]) == ["operator ann", "reason: started as orders2"]
    with pytest.raises(ConflictError, match="was settled by ann already"):
        actions.settle(access, request_id, "bob", "me too")
    with pytest.raises(ConflictError, match="ann has said that it is dealt with"):
        actions.replay(access, request_id, "bob")
    counted = replaying.counted(access, listing.Filter(state="rejected"), 10)
    assert (counted.request_ids, counted.settled) == ([], [request_id])


def test_what_cannot_be_settled_is_refused_with_the_reason(access: ReadAccess) -> None:
    waiting = submitted(access)
    with pytest.raises(ConflictError, match="is accepted: it has not ended"):
        actions.settle(access, waiting, "ann", "done")
    with pytest.raises(InvalidError, match="needs a reason"):
        actions.settle(access, waiting, "ann", " ")
    with pytest.raises(NotFoundError):
        actions.settle(access, "unknown", "ann", "done")
    actions.cancel(access, waiting, "ann")
    with pytest.raises(ConflictError, match="is cancelled: such an end needs no person"):
        actions.settle(access, waiting, "ann", "done")

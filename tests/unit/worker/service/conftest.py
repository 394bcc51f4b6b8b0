"""The use cases over the ledger's twin and the behaving fake of Marketing Cloud."""

import pytest

from tests.ledgers import MemoryWorld
from tests.works import MID, Works
from worker.adapters.ledger import LedgerSettings
from worker.domain.runs import Definition
from worker.messages import Arrival, StartRequest

KEY = "daily"


def wish(request_id: str = "a", **more) -> StartRequest:
    file = Arrival(location="/in", name=f"{request_id}.csv", size=1, version="1")
    return StartRequest(request_id=request_id, customer_key=KEY, mid=MID, **({"file": file} | more))


@pytest.fixture
def works() -> Works:
    return Works(MemoryWorld(LedgerSettings()), Definition(customer_key=KEY, max_import_frequency=2))

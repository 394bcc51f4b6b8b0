"""The use cases over the ledger's twin and the behaving fake of Marketing Cloud."""

import pytest

from sfmc_import.ledger import LedgerSettings
from sfmc_import.request import FileInfo, StartRequest
from sfmc_import.runs import Definition
from tests.support.ledger_world import MemoryWorld
from tests.support.system import MID, System

KEY = "daily"


def request(request_id: str = "a", **more) -> StartRequest:
    file = FileInfo(location="/in", name=f"{request_id}.csv", size=1, version="1")
    return StartRequest(request_id=request_id, customer_key=KEY, mid=MID, **({"file": file} | more))


@pytest.fixture
def system() -> System:
    return System(MemoryWorld(LedgerSettings()), Definition(customer_key=KEY, max_import_frequency=2))

"""The use cases over the real scripts in fakeredis and over the fake of Marketing Cloud that behaves."""

import pytest

from sfmc_import.ledger import LedgerSettings
from sfmc_import.request import FileInfo, StartRequest
from sfmc_import.runs import Definition
from tests.support.ledger_world import FakeRedisWorld
from tests.support.system import MID, System

KEY = "daily"


def request(request_id: str = "a", **more) -> StartRequest:
    file = FileInfo(location="/in", name=f"{request_id}.csv", size=1, version="1")
    return StartRequest(request_id=request_id, customer_key=KEY, mid=MID, **({"file": file} | more))


@pytest.fixture
def system() -> System:
    return System(FakeRedisWorld(LedgerSettings()), Definition(customer_key=KEY, max_import_frequency=2))

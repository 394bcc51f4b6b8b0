import pytest

from tests.support.fake_client import FakeClient
from tests.support.watched_folder import Watched


@pytest.fixture
def client():
    client = FakeClient()
    client.define("contacts", "contacts.csv")
    client.define("orders", "orders.csv")
    return client


@pytest.fixture
def watched(tmp_path, client):
    return Watched(tmp_path, client)

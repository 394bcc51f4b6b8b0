import pytest

from tests.integration.sftp_source.watched import WatchedServer
from tests.support.fake_client import FakeClient
from tests.support.sftp_server import SftpTestServer


@pytest.fixture
def server(tmp_path):
    (tmp_path / "in").mkdir()
    with SftpTestServer(tmp_path) as made:
        yield made


@pytest.fixture
def client():
    client = FakeClient()
    client.define("contacts", "contacts.csv")
    client.define("orders", "orders.csv")
    return client


@pytest.fixture
def watched(server, client):
    watched = WatchedServer(server, client)
    yield watched
    watched.close()

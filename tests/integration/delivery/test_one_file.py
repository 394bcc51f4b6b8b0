"""One file is delivered and submitted, whatever dies at whichever step."""

import os
from dataclasses import dataclass, field
from functools import partial

import pytest
import redis as redis_py
from pydantic import SecretStr

from sfmc_import.ledger.keys import Keys
from sfmc_producers.delivery.content import LocalFile
from sfmc_producers.delivery.job import Job, deliver
from sfmc_producers.delivery.names import temporary_name
from sfmc_producers.delivery.records import Held, Records
from sfmc_producers.delivery.sftp import SftpOptions, SftpSession
from sfmc_producers.delivery.sftp_upload import REWIND
from sfmc_producers.delivery.targets import TargetRefusedError
from sfmc_producers.stability import FileStat
from tests.integration.crash_points.crash_points import DiedError, Fate, Mortal
from tests.integration.delivery.conftest import PASSWORD, Login

KEYS = Keys()


@pytest.fixture
def records(redis_server):
    with redis_py.Redis.from_url(redis_server.url, socket_timeout=10) as client:
        yield Records(client, KEYS, 60)


@dataclass
class World:
    records: Records
    server: object
    path: object
    submitted: list = field(default_factory=list)

    def session(self, password=PASSWORD):
        options = SftpOptions(
            host="127.0.0.1", port=self.server.port, user="u", host_keys=(self.server.fingerprint,), timeout=5
        )
        return SftpSession(options, SecretStr(password))

    def job(self, fingerprint="f1", request="r1", name="orders.csv", submit=None):
        status = self.path.stat()
        seen = FileStat("orders.csv", status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        content = partial(LocalFile, self.path, seen)
        submit = submit or partial(self.submit, request)
        return Job(request, fingerprint, name, "sftp://there/Import", ("1", "orders"), content, submit)

    def submit(self, request):
        self.submitted.append((request, (self.server.folder / "Import" / "orders.csv").read_bytes()))
        return request

    def deliver(self, job, session=None):
        session = session or self.session()
        try:
            session.connect()
            return deliver(job, self.records, lambda: session)
        finally:
            session.close()


@pytest.fixture
def world(records, sftp_server, tmp_path):
    path = tmp_path / "orders.csv"
    path.write_bytes(os.urandom(10_000))
    return World(records, sftp_server, path)


def test_a_file_is_there_whole_under_its_name_alone_when_its_request_is_submitted(world) -> None:
    assert world.deliver(world.job()) == "r1"
    assert world.submitted == [("r1", world.path.read_bytes())]
    assert world.server.names() == ["orders.csv"]


def test_a_delivered_file_is_not_sent_again_and_its_request_is_submitted_again(world) -> None:
    world.deliver(world.job())
    (world.server.folder / "Import" / "orders.csv").write_bytes(b"was imported, then emptied")
    assert world.deliver(world.job()) == "r1"
    assert world.submitted[1][1] == b"was imported, then emptied"


def test_a_newer_file_waits_until_the_request_for_the_delivered_one_has_ended(world, redis_server) -> None:
    world.deliver(world.job())
    old = world.path.read_bytes()
    world.path.write_bytes(b"newer")
    with redis_py.Redis.from_url(redis_server.url, socket_timeout=10) as client:
        client.hset(KEYS.request("r1"), mapping={"state": "deferred", "since": 0, "at": 0})
        client.expire(KEYS.request("r1"), 60)
        found = world.deliver(world.job("f2", "r2"))
        assert isinstance(found, Held)
        assert "r1 (deferred)" in found.text
        assert (world.server.folder / "Import" / "orders.csv").read_bytes() == old
        client.hset(KEYS.request("r1"), "state", "completed")
        assert world.deliver(world.job("f2", "r2")) == "r2"
    assert world.submitted[-1] == ("r2", b"newer")


def test_a_cut_upload_is_resumed_when_what_is_there_is_the_beginning_of_the_file(world) -> None:
    content = os.urandom(REWIND + 5_000_000)
    world.path.write_bytes(content)
    world.records.claim("sftp://there/Import/orders.csv", "f1", "r1").lease.end()
    there = world.server.folder / "Import" / temporary_name("f1")
    there.write_bytes(b"?" * 1_000_000 + content[1_000_000 : REWIND + 4_000_000])
    world.deliver(world.job())
    # Only the part right before the cut is compared, so the mark in the first bytes shows that they were not sent.
    assert world.submitted[0][1] == b"?" * 1_000_000 + content[1_000_000:]


def test_what_is_there_and_is_not_the_beginning_of_the_file_is_sent_anew(world) -> None:
    world.path.write_bytes(content := os.urandom(REWIND + 5_000_000))
    (world.server.folder / "Import" / temporary_name("f1")).write_bytes(os.urandom(REWIND + 4_000_000))
    world.deliver(world.job())
    assert world.submitted[0][1] == content


def test_a_wrong_password_is_tried_once(world) -> None:
    with pytest.raises(TargetRefusedError, match="refuses the login of u"):
        world.deliver(world.job(), world.session("wrong"))
    assert Login.tries == 1


@pytest.mark.parametrize("kind", ["die_before", "die_after"])
@pytest.mark.parametrize("point", range(1, 5))
def test_whoever_dies_at_whichever_step_the_file_is_there_once_and_its_request_is_submitted(
    world, redis_server, kind, point
) -> None:
    fate = Fate(kind, point)
    mortal = Mortal(world.session(), fate, ledger=False)
    job = world.job(submit=lambda: fate.meet(lambda: world.submit("r1"), ledger=False))
    try:
        mortal.connect()
        deliver(job, world.records, lambda: mortal)
    except DiedError:
        pass
    mortal._port.close()
    assert world.deliver(world.job()) == "r1"
    assert world.server.names() == ["orders.csv"]
    assert set(world.submitted) == {("r1", world.path.read_bytes())}

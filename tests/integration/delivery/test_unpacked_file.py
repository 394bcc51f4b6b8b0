"""A file that is unpacked on its way: cut uploads begin anew, and of a damaged one nothing stays at the target."""

import gzip
import io
import os
from collections.abc import Callable
from typing import Any

import pytest
import redis as redis_py
from pydantic import SecretStr

from sfmc_import.ledger.keys import Keys
from sfmc_producers.content_errors import ContentDamagedError, ContentError, ContentUnavailableError
from sfmc_producers.delivery.job import Job, deliver
from sfmc_producers.delivery.names import temporary_name
from sfmc_producers.delivery.records import Records
from sfmc_producers.delivery.sftp import SftpOptions, SftpSession
from sfmc_producers.delivery.unpacking import Limits, unpacked
from tests.integration.delivery.conftest import PASSWORD

PART = 4 * 1024 * 1024
CONTENT = os.urandom(3 * PART) + b"Key,Value\n" * 1000
PACKED = gzip.compress(CONTENT, 1)


class Cut(io.BytesIO):
    """A source whose connection is cut."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > 2 * PART:
            raise ContentUnavailableError("cut")
        return super().read(size)


@pytest.fixture
def run(redis_server, sftp_server):
    """Deliver what is opened; gives the bytes at the target when its request is submitted, or what was unusable."""

    def delivered(open_content: Callable[[], Any]) -> Any:
        with redis_py.Redis.from_url(redis_server.url, socket_timeout=10) as client:
            records = Records(client, Keys(), 60)
            job: Job[Any] = Job(
                "r1", "f1", "orders.csv", "sftp://there/Import", ("1", "orders"),
                unpacked(open_content, ["gz"], Limits(), None),
                (sftp_server.folder / "Import" / "orders.csv").read_bytes, unusable=lambda error: error,
            )  # fmt: skip
            session = opened(sftp_server)
            try:
                session.connect()
                return deliver(job, records, lambda: session)
            finally:
                session.close()

    return delivered


def opened(server: Any) -> SftpSession:
    options = SftpOptions(host="127.0.0.1", port=server.port, user="u", host_keys=(server.fingerprint,), timeout=10)
    return SftpSession(options, SecretStr(PASSWORD))


def test_an_upload_that_was_cut_begins_anew_and_is_whole(run, sftp_server) -> None:
    with pytest.raises(ContentUnavailableError):
        run(lambda: Cut(PACKED))
    assert sftp_server.names() == [temporary_name("f1")]
    assert run(lambda: io.BytesIO(PACKED)) == CONTENT
    assert sftp_server.names() == ["orders.csv"]


def test_what_a_longer_attempt_has_left_does_not_stay_behind_the_end(run, sftp_server) -> None:
    (sftp_server.folder / "Import" / temporary_name("f1")).write_bytes(os.urandom(len(CONTENT) + 1000))
    assert run(lambda: io.BytesIO(PACKED)) == CONTENT


@pytest.mark.parametrize("left", [100, len(PACKED) - 4], ids=["at its beginning", "at its end"])
def test_of_a_damaged_file_nothing_stays_at_the_target_and_its_name_is_free(run, sftp_server, left) -> None:
    found: ContentError = run(lambda: io.BytesIO(PACKED[:left]))
    assert isinstance(found, ContentDamagedError)
    assert sftp_server.names() == []
    assert run(lambda: io.BytesIO(PACKED)) == CONTENT

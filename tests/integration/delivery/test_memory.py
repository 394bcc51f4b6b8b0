"""A large file passes through in little memory, wherever it comes from."""

import gzip
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.integration.delivery import memory_of_a_delivery
from tests.integration.delivery.conftest import PASSWORD
from tests.support.aws_server import LOGIN, aws_server
from tests.support.sftp_server import PASSWORD as SOURCE_PASSWORD
from tests.support.sftp_server import USER, SftpTestServer

SIZE = 200 * 1024 * 1024
MOST_GROWN = 64 * 1024 * 1024


def delivered(server: Any, **given: Any) -> dict[str, int]:
    """Deliver in a child; gives what it says."""
    target = {"host": "127.0.0.1", "port": server.port, "user": "u", "host_keys": [server.fingerprint], "timeout": 30}
    text = json.dumps({"target": target, "target_password": PASSWORD, **given})
    command = [sys.executable, "-m", memory_of_a_delivery.__name__]
    environment = {**os.environ, **LOGIN}
    child = subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=200, check=False, env=environment
    )
    assert child.returncode == 0, child.stderr
    assert (server.folder / "Import" / "large.csv").stat().st_size == SIZE
    return json.loads(child.stdout)  # type: ignore[no-any-return]


def test_a_file_of_200_mb_of_an_sftp_server_passes_through_in_little_memory(sftp_server, tmp_path) -> None:
    (tmp_path / "partner" / "in").mkdir(parents=True)
    file = tmp_path / "partner" / "in" / "large.csv"
    file.touch()
    os.truncate(file, SIZE)
    with SftpTestServer(tmp_path / "partner") as partner:
        lines = {"host": "127.0.0.1", "port": partner.port, "user": USER, "dir": "/in"}
        lines |= {"host_keys": [partner.fingerprint]}
        known = {"location": f"sftp://127.0.0.1:{partner.port}/in", "name": "large.csv", "size": SIZE}
        known["modified_ns"] = int(file.stat().st_mtime) * 10**9
        given = {"kind": "sftp", "lines": lines, "password": SOURCE_PASSWORD, "file": known, "unpack": []}
        found = delivered(sftp_server, **given)
        assert found["grown"] < MOST_GROWN


@pytest.mark.nightly
@pytest.mark.parametrize("form", ["gz", pytest.param("", id="plain")])
def test_an_object_of_200_mb_passes_through_in_little_memory(form, sftp_server) -> None:
    content = gzip.compress(bytes(SIZE), 1) if form else bytes(SIZE)
    with aws_server() as aws:
        aws.bucket("drop")
        aws.put("large", content)
        etag = aws.s3.head_object(Bucket="drop", Key="large")["ETag"].strip('"')
        known = {"location": "s3://drop", "name": "large", "size": len(content), "version": etag}
        given = {"kind": "s3", "endpoint_url": aws.url, "file": known, "unpack": [form] if form else []}
        found = delivered(sftp_server, **given)
        assert found["grown"] < MOST_GROWN

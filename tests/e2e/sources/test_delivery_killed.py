"""A source that is killed while it uploads: the file is there once and whole, and is imported once."""

import os
import signal
from pathlib import Path

import pytest

from tests.integration.delivery.conftest import PASSWORD, sftp_server  # noqa: F401 - a fixture
from tests.support.processes import RunningSystem, running_system
from tests.support.sources import example_of, running_source
from tests.support.waiting import eventually

SECRET = {"SFMC_TARGET_ENHANCED_FTP_PASSWORD": PASSWORD}
CONTENT = b"Key,Value\n" + (b"1," + b"x" * 3_990 + b"\n") * 50_000


def policy(server: object, folder: Path) -> str:
    """The example of the page, and a folder as its source."""
    source = (
        f'\n[[source]]\nname = "arrivals"\nkind = "folder"\npath = "{folder}"\nstable_seconds = 0.2\nrescan = 0.5\n'
    )
    changes = {
        "mcabc.ftp.marketingcloudops.com": "127.0.0.1",
        "port = 22": f"port = {server.port}",
        "SHA256:replace-with-the-fingerprint-of-your-stack": server.fingerprint,
    }
    return example_of("delivery", **changes) + source + 'after = "delete"\n'


def part_of(place: Path) -> int:
    """How much of the upload is there."""
    return sum(each.stat().st_size for each in place.glob(".sfmc-*.part"))


def kill_during_upload(system: RunningSystem, place: Path, text: str) -> None:
    with running_source(system, "arrivals", text, **SECRET) as child:
        eventually(lambda: part_of(place) > 20_000_000, 60, "a part is there")
        os.killpg(child.pid, signal.SIGKILL)
        child.wait(30)
    assert part_of(place) > 0


@pytest.mark.nightly
def test_a_source_killed_during_an_upload_leads_to_one_whole_file_and_one_import(sftp_server) -> None:  # noqa: F811
    with running_system() as system:
        system.worker()
        system.beat()
        system.sandbox.control.define("orders", FileSpec="orders_1.csv")
        sftp_server.folder = system.sandbox.drop("other.csv", "x").parents[1]
        place, folder = sftp_server.folder / "Import", system.folder / "in"
        folder.mkdir()
        (folder / "orders_1.csv").write_bytes(CONTENT)
        text = policy(sftp_server, folder)
        kill_during_upload(system, place, text)
        assert (system.names(), (folder / "orders_1.csv").exists()) == ([], True)
        with running_source(system, "arrivals", text, **SECRET):
            # The lease of the killed one lasts 90 seconds.
            eventually(lambda: system.sandbox.control.performs("orders"), 200, "its import is started")
            eventually(lambda: not (folder / "orders_1.csv").exists(), 30, "it is deleted at its source")
        assert (len(system.sandbox.control.performs("orders")), system.names().count("accepted")) == (1, 1)
        assert sftp_server.names() == ["orders_1.csv", "other.csv"]
        assert (place / "orders_1.csv").read_bytes() == CONTENT

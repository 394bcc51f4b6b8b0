"""A file is delivered to where its definition reads, by a watcher or a scan, and its import completes."""

from pathlib import Path
from typing import Any

import pytest

from tests.integration.delivery.conftest import PASSWORD, sftp_server  # noqa: F401 - a fixture
from tests.support.aws_server import aws_server
from tests.support.processes import RunningSystem, running_system
from tests.support.soap_conversation import Conversation, thing
from tests.support.sources import example_of, running_source, use_policy
from tests.support.waiting import eventually

SECRET = {"SFMC_TARGET_ENHANCED_FTP_PASSWORD": PASSWORD}
ROWS = "Key,Value\n1,one\n"


def example(server: Any) -> str:
    """The example of the page, with the server of a test."""
    changes = {
        "mcabc.ftp.marketingcloudops.com": "127.0.0.1",
        "port = 22": f"port = {server.port}",
        "SHA256:replace-with-the-fingerprint-of-your-stack": server.fingerprint,
    }
    return example_of("delivery", **changes)


def source(folder: Path, *lines: str) -> str:
    """A folder as a source."""
    folder.mkdir(exist_ok=True)
    head = ("", "[[source]]", 'name = "arrivals"', 'kind = "folder"', f'path = "{folder}"', "stable_seconds = 0.01")
    return "\n".join((*head, *lines, ""))


def serve(server: Any, system: RunningSystem) -> None:
    """Let the server write where the sandbox reads."""
    server.folder = system.sandbox.drop("other.csv", "x").parents[1]


def with_orders(system: RunningSystem) -> RunningSystem:
    system.worker()
    system.beat()
    system.sandbox.control.define("orders", FileSpec="orders_1.csv")
    return system


def test_a_file_of_a_folder_is_delivered_and_its_import_completes(sftp_server) -> None:  # noqa: F811
    with running_system(least_rights=True) as started:
        system = with_orders(started)
        serve(sftp_server, system)
        folder = system.folder / "in"
        folder.mkdir()
        policy = use_policy(system, example(sftp_server))
        child = system.start("watch", str(folder), "--stable-seconds", "0.2", **policy, **SECRET)
        (folder / "orders_1.csv").write_text(ROWS)
        eventually(lambda: "completed" in system.names(), 60, "it is imported")
        assert len(system.sandbox.control.performs("orders")) == 1
        assert sftp_server.names() == ["orders_1.csv", "other.csv"]
        child.terminate()
        assert child.wait(60) == 0
        assert "Traceback" not in system.log_of(child).read_text()


@pytest.mark.nightly
def test_a_scan_delivers_what_has_no_request_yet_and_twice_submits_nothing_new(sftp_server) -> None:  # noqa: F811
    with running_system(least_rights=True) as started:
        system = with_orders(started)
        serve(sftp_server, system)
        policy = use_policy(system, example(sftp_server) + source(system.folder / "in"))
        (system.folder / "in" / "orders_1.csv").write_text(ROWS)
        first, second = (system.run("scan", "arrivals", **policy, **SECRET) for _ in range(2))
        assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
        assert "1 files: 1 new, 0 known" in first.stdout
        assert "1 files: 0 new, 1 known" in second.stdout
        system.await_event("completed")
        assert system.names().count("accepted") == 1
        assert sftp_server.names() == ["orders_1.csv", "other.csv"]


def test_a_scan_says_of_what_cannot_be_delivered_now_that_it_waits(sftp_server) -> None:  # noqa: F811
    with running_system(least_rights=True) as system:
        policy = use_policy(system, example(sftp_server) + source(system.folder / "in"))
        system.sandbox.control.define("orders", FileSpec="orders_1.csv")
        (system.folder / "in" / "orders_1.csv").write_text(ROWS)
        done = system.run("scan", "arrivals", **policy, SFMC_TARGET_ENHANCED_FTP_PASSWORD="wrong")
        assert done.returncode == 1
        assert "refuses the login of 510001234" in done.stdout
        assert "0 new, 0 known, 0 without a definition, 0 refused, 1 waiting" in done.stdout
        assert (system.names(), sftp_server.names()) == ([], [])


@pytest.mark.nightly
def test_files_with_one_name_at_the_target_are_each_imported_and_never_sent_again(sftp_server) -> None:  # noqa: F811
    with running_system(least_rights=True) as started:
        system = with_orders(started)
        system.sandbox.control.define("orders", FileSpec="orders.csv", MaxImportFrequency=0)
        serve(sftp_server, system)
        folder, place = system.folder / "in", sftp_server.folder / "Import" / "orders.csv"
        text = example(sftp_server).replace('deliver = "sftp"', 'deliver = "sftp"\ndeliver_as = "orders.csv"')
        text += source(folder, "rescan = 0.2")
        with running_source(system, "arrivals", text, **SECRET):
            for number in (3, 2, 1):
                (folder / f"orders_{number}.csv").write_text("Key,Value\n" + f"{number},x\n" * number)
                eventually(lambda n=number: system.names().count("completed") == 4 - n, 60, "it is imported")
        seen = place.stat()
        with running_source(system, "arrivals", text, **SECRET) as again:
            eventually(lambda: system.log_of(again).read_text().count("file_known") == 3, 60, "all are known")
        scan, dry = (
            system.run("scan", "arrivals", *more, **use_policy(system, text), **SECRET) for more in ((), ("--dry-run",))
        )
        assert "3 files: 0 new, 3 known" in scan.stdout
        assert "3 files: 0 would be new, 3 known" in dry.stdout
        assert [each["result"]["TotalRows"] for each in system.sandbox.control.performs("orders")] == [3, 2, 1]
        now = place.stat()
        assert (now.st_ino, now.st_mtime_ns, place.read_text()) == (seen.st_ino, seen.st_mtime_ns, "Key,Value\n1,x\n")


@pytest.mark.nightly
def test_the_scans_beside_a_source_deliver(sftp_server) -> None:  # noqa: F811
    with running_system(least_rights=True) as started:
        system = with_orders(started)
        serve(sftp_server, system)
        folder = system.folder / "in"
        # The source itself would have to see the file a hundred times.
        policy = example(sftp_server) + source(folder, "rescan = 3600", "scans = 100", 'scan_every = "0.2s"')
        with running_source(system, "arrivals", policy, **SECRET):
            (folder / "orders_1.csv").write_text(ROWS)
            system.await_event("completed")
        assert system.names().count("accepted") == 1
        assert sftp_server.names() == ["orders_1.csv", "other.csv"]


def test_a_definition_that_reads_elsewhere_is_said_in_one_line_and_nothing_starts(sftp_server) -> None:  # noqa: F811
    with running_system(least_rights=True) as system:
        policy = use_policy(system, example(sftp_server) + source(system.folder / "in"))
        assert Conversation(system.sandbox).create(location("partner sftp")).text("OverallStatus") == "OK"
        elsewhere = {"CustomerKey": "partner sftp"}
        system.sandbox.control.define("orders", FileSpec="orders_1.csv", RetrieveFileTransferLocation=elsewhere)
        (system.folder / "in" / "orders_1.csv").write_text(ROWS)
        done = system.run("scan", "arrivals", **policy, **SECRET)
        assert 'no [[target]] of kind sftp: add location = "partner sftp"' in done.stdout
        assert "1 refused" in done.stdout
        assert (system.names(), sftp_server.names()) == ([], [])


def location(key: str) -> str:
    return thing("FileTransferLocation", f"<CustomerKey>{key}</CustomerKey>")


@pytest.mark.parametrize("deliver", [pytest.param(each, marks=pytest.mark.nightly) for each in ("s3", "import-bucket")])
def test_a_file_is_delivered_to_s3_and_its_import_completes(deliver) -> None:
    # The sandbox reads folders, so the bucket has a copy in the folder of the location.
    with aws_server() as aws, running_system(aws.env, least_rights=True) as started:
        system = with_orders(started)
        aws.bucket("imports-of-acme")
        assert Conversation(system.sandbox).create(location("Import bucket")).text("OverallStatus") == "OK"
        bucket = {"CustomerKey": "Import bucket"}
        system.sandbox.control.define("orders", FileSpec="orders_1.csv", RetrieveFileTransferLocation=bucket)
        system.sandbox.drop("orders_1.csv", ROWS, location="Import bucket")
        policy = example_of("delivery-s3", **{'deliver = "s3"': f'deliver = "{deliver}"'})
        folder = system.folder / "in"
        text = policy + source(folder, 'after = "delete"', "rescan = 0.5")
        (folder / "orders_1.csv").write_text(ROWS)
        with running_source(system, "arrivals", text):
            system.await_event("completed")
            eventually(lambda: not (folder / "orders_1.csv").exists(), 60, "it is deleted at its source")
        found = aws.s3.get_object(Bucket="imports-of-acme", Key="import/orders_1.csv")["Body"].read()
        assert (found, system.names().count("accepted")) == (ROWS.encode(), 1)

"""Files of other machines are delivered by SFTP to where the sandbox imports from, and their imports complete."""

import contextlib
import gzip
import io
import json
import os
import subprocess
import sys
import threading
import zipfile
from itertools import count

import pytest

from sfmc_local.processes import spawn, stop
from sfmc_local.redis_server import free_port
from tests.integration.delivery.conftest import PASSWORD, sftp_server  # noqa: F401 - a fixture
from tests.support.aws_server import AwsServer, aws_server, notifying
from tests.support.azure_blobs import blob_server
from tests.support.azure_server import small_server
from tests.support.events_of_stores import blob_created
from tests.support.pgp_keys import PgpKeys
from tests.support.processes import RunningSystem, running_system
from tests.support.sftp_server import PASSWORD as SOURCE_PASSWORD
from tests.support.sftp_server import USER, SftpTestServer
from tests.support.sources import example_of, running_source, use_policy
from tests.support.waiting import eventually

SECRET = {"SFMC_TARGET_ENHANCED_FTP_PASSWORD": PASSWORD}
NUMBERS = count()
CONTENT = b"Key,Value\n1,one\n2,two\n"


def delivering(server, pattern: str = "orders_*.csv", unpack: str = "") -> str:
    """The example of the page on delivery at the address of this server."""
    line = f"\nunpack = {unpack}" if unpack else ""
    return example_of(
        "delivery",
        **{
            "mcabc.ftp.marketingcloudops.com": "127.0.0.1",
            "port = 22": f"port = {server.port}",
            "SHA256:replace-with-the-fingerprint-of-your-stack": server.fingerprint,
            'pattern = "orders_*.csv"': f'pattern = "{pattern}"',
            'deliver = "sftp"': f'deliver = "sftp"{line}',
        },
    )


def without_route(example: str) -> str:
    """A [[source]] alone: the route of the page on delivery is for its files."""
    return example.partition("[[source.route]]")[0]


def bucket_with_queue(aws: AwsServer) -> tuple[str, str]:
    """A bucket that tells a queue of its uploads: the address of the queue, and the source that reads it.

    The queue has a name of its own: moto gives messages also to the polls of processes that have ended.
    """
    name = f"drop-{next(NUMBERS)}"
    url = aws.queue(name)
    aws.bucket("drop", **notifying(name))
    return url, without_route(example_of("sqs", **{"123456789012/drop": f"123456789012/{name}"}))


def prepare(system: RunningSystem, server) -> None:
    """Let the sandbox import from the folder of the server."""
    system.worker()
    system.beat()
    system.sandbox.control.define("orders", FileSpec="orders_1.csv")
    server.folder = system.sandbox.drop("other.csv", "x").parents[1]


def imported_once(system: RunningSystem, server) -> None:
    """Wait for the import, and check what it has read."""
    eventually(lambda: "completed" in system.names(), 30, "it is imported")
    assert len(system.sandbox.control.performs("orders")) == 1
    assert server.names() == ["orders_1.csv", "other.csv"]
    assert (server.folder / "Import" / "orders_1.csv").read_bytes() == CONTENT


def test_a_file_of_an_sftp_server_is_delivered_and_its_import_completes(sftp_server, tmp_path) -> None:  # noqa: F811
    (tmp_path / "partner" / "in").mkdir(parents=True)
    with running_system(least_rights=True) as system, SftpTestServer(tmp_path / "partner") as partner:
        prepare(system, sftp_server)
        (partner.root / "in" / "orders_1.csv").write_bytes(CONTENT)
        fingerprint = example_of("sftp").partition('host_keys = ["')[2].partition('"')[0]
        here = {'host = "sftp.example.com"': 'host = "127.0.0.1"', "port = 22": f"port = {partner.port}"}
        here |= {fingerprint: partner.fingerprint, 'every = "60s"': "every = 0.1", 'stable = "60s"': "stable = 0.3"}
        policy = without_route(example_of("sftp", **here)) + delivering(sftp_server)
        with running_source(system, "partner", policy, SFMC_SOURCE_PARTNER_PASSWORD=SOURCE_PASSWORD, **SECRET):
            imported_once(system, sftp_server)
            eventually((partner.root / "done" / "orders_1.csv").exists, 30, "it is moved after its request is recorded")


@pytest.mark.nightly
@pytest.mark.parametrize("form", ["plain", "zip"])
def test_an_object_of_s3_is_delivered_and_its_import_completes(form, sftp_server) -> None:  # noqa: F811
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data/export.csv", CONTENT)
    with aws_server() as aws, running_system(aws.env, least_rights=True) as system:
        prepare(system, sftp_server)
        queue, source = bucket_with_queue(aws)
        pattern, unpack = ("orders_*.csv", "") if form == "plain" else ("orders_*.csv.zip", '"zip"')
        aws.put(
            "in/orders_1.csv" if form == "plain" else "in/orders_1.csv.zip",
            CONTENT if form == "plain" else packed.getvalue(),
        )
        policy = source + delivering(sftp_server, pattern, unpack)
        with running_source(system, "drop", policy, **SECRET):
            imported_once(system, sftp_server)
            eventually(lambda: aws.counts(queue) == (0, 0), 30, "its message is deleted")


@pytest.mark.nightly
def test_a_blob_of_azure_is_delivered_and_its_import_completes(sftp_server) -> None:  # noqa: F811
    with small_server() as queues, blob_server() as blobs, running_system(least_rights=True) as system:
        prepare(system, sftp_server)
        queues.make("drop")
        blobs.put("drop/in/orders_1.csv", CONTENT, "0x8D4B")
        queues.send("drop", blob_created("in/orders_1.csv", contentLength=len(CONTENT)))
        policy = without_route(example_of("azure-queue")) + delivering(sftp_server)
        login = {"SFMC_SOURCE_DROP_CONNECTION": f"{queues.connection};{blobs.endpoint}"}
        with running_source(system, "drop", policy, **login, **SECRET):
            imported_once(system, sftp_server)
            eventually(lambda: queues.count("drop") == 0, 30, "its message is deleted")


def test_while_a_target_is_away_its_files_wait_in_the_queue_and_the_others_go_on(tmp_path) -> None:
    (tmp_path / "Import").mkdir()
    target = SftpTestServer(tmp_path, port=free_port())
    with aws_server() as aws, running_system(aws.env, least_rights=True) as system:
        system.worker()
        system.beat()
        for name in ("orders", "contacts"):
            system.sandbox.control.define(name, FileSpec=f"{name}_1.csv")
            system.sandbox.drop(f"{name}_1.csv", CONTENT.decode())
        queue, source = bucket_with_queue(aws)
        for name in ("orders", "contacts"):
            aws.put(f"in/{name}_1.csv", CONTENT)
        others = '\n[[route]]\npattern = "contacts_*.csv"\ncustomer_key = "contacts"\n'
        policy = source.replace('kind = "sqs"', 'kind = "sqs"\nparallel = 1\nvisibility = 10')
        policy += delivering(target).replace('user = "510001234"', f'user = "{USER}"') + others
        secret = {"SFMC_TARGET_ENHANCED_FTP_PASSWORD": SOURCE_PASSWORD}
        with running_source(system, "drop", policy, **secret) as child:
            eventually(lambda: len(system.sandbox.control.performs("contacts")) == 1, 30, "the other is started")
            log = system.log_of(child)
            eventually(lambda: "target_unavailable" in log.read_text("utf-8"), 30, "the target was asked for")
            assert system.sandbox.control.performs("orders") == []
            with target:
                eventually(
                    lambda: len(system.sandbox.control.performs("orders")) == 1, 60, "it is delivered and started"
                )
                eventually(lambda: aws.counts(queue) == (0, 0), 30, "both messages are deleted")
        assert (tmp_path / "Import" / "orders_1.csv").read_bytes() == CONTENT


@pytest.mark.nightly
def test_on_a_terminal_a_bar_shows_how_far_a_delivery_is(sftp_server) -> None:  # noqa: F811
    master, slave = os.openpty()
    shown: list[bytes] = []
    reader = threading.Thread(target=read_all, args=(master, shown))
    reader.start()
    with running_system(least_rights=True) as system:
        system.sandbox.control.define("orders", FileSpec="orders_1.csv")
        policy = delivering(sftp_server)
        folder = system.folder / "in"
        folder.mkdir()
        (folder / "orders_1.csv").write_bytes(CONTENT)
        env = system.env | use_policy(system, policy) | SECRET | {"TERM": "xterm", "SFMC_LOG_FORMAT": "auto"}
        command = [sys.executable, "-m", "sfmc_import", "watch", str(folder), "--stable-seconds", "0.2"]
        child = spawn(command, env=env, output=subprocess.DEVNULL, errors=slave)
        os.close(slave)
        try:
            eventually(lambda: b"file_delivered" in b"".join(shown), 30, "it is delivered")
        finally:
            stop(child)
            reader.join(30)
            os.close(master)
    text = b"".join(shown).decode("utf-8", "replace")
    assert "orders_1.csv → enhanced-ftp" in text
    assert "━" in text


def read_all(terminal: int, shown: list[bytes]) -> None:
    """Read what a terminal shows, until the program has closed it."""
    with contextlib.suppress(OSError):
        while data := os.read(terminal, 65536):
            shown.append(data)


@pytest.mark.nightly
def test_an_object_that_was_replaced_is_set_aside_and_the_one_that_replaced_it_is_imported(sftp_server) -> None:  # noqa: F811
    with aws_server() as aws, running_system(aws.env, least_rights=True) as system:
        prepare(system, sftp_server)
        queue, source = bucket_with_queue(aws)
        aws.put("in/orders_1.csv", b"Key,Value\n0,old\n")
        aws.put("in/orders_1.csv", CONTENT)
        policy = source + delivering(sftp_server)
        with running_source(system, "drop", policy, **SECRET):
            imported_once(system, sftp_server)
            eventually(lambda: aws.counts(queue) == (0, 0), 30, "both messages are deleted")
        letters = [json.loads(line) for line in system.run("dead-letters", "list", "--json").stdout.splitlines()]
        assert ["was replaced after it arrived" in each["detail"] for each in letters] == [True]


@pytest.mark.nightly
def test_a_file_is_decrypted_and_unpacked_on_the_way_and_a_damaged_one_is_rejected(sftp_server, tmp_path) -> None:  # noqa: F811
    with running_system(least_rights=True) as system, PgpKeys(tmp_path / "keys") as keys:
        prepare(system, sftp_server)
        folder = system.folder / "in"
        folder.mkdir()
        policy = delivering(sftp_server, "orders_*.pgp", '["pgp", "gz"]')
        secrets = {**SECRET, "SFMC_TARGET_ENHANCED_FTP_PGP_KEY": keys.private()}
        child = system.start("watch", str(folder), "--stable-seconds", "0.2", **use_policy(system, policy), **secrets)
        packed = keys.encrypted(gzip.compress(CONTENT))
        (folder / "orders_2.csv.gz.pgp").write_bytes(packed[:-20])
        eventually(lambda: "rejected" in system.names(), 30, "the damaged one is rejected")
        (folder / "orders_1.csv.gz.pgp").write_bytes(packed)
        imported_once(system, sftp_server)
        [rejected] = [each for each in system.events() if each["type"] == "sfmc.import.rejected"]
        assert (rejected["data"]["code"], rejected["data"]["file"]["name"]) == ("damaged", "orders_2.csv.gz.pgp")
        log = eventually(
            lambda: "file_damaged" in (log := system.log_of(child).read_text("utf-8")) and log, 30, "it is logged"
        )
        assert "PRIVATE KEY" not in log


@pytest.mark.nightly
def test_a_file_that_a_partner_has_signed_is_imported_and_one_that_is_not_signed_is_rejected(
    sftp_server,  # noqa: F811
    tmp_path,
) -> None:
    partner = PgpKeys(tmp_path / "partner", usage="sign")
    with running_system(least_rights=True) as system, PgpKeys(tmp_path / "keys") as keys, partner:
        prepare(system, sftp_server)
        folder = system.folder / "in"
        folder.mkdir()
        (tmp_path / "partner.asc").write_bytes(partner.public())
        policy = delivering(sftp_server, "orders_*.pgp", f'"pgp"\nverify_with = "{tmp_path}/partner.asc"')
        secrets = {**SECRET, "SFMC_TARGET_ENHANCED_FTP_PGP_KEY": keys.private()}
        system.start("watch", str(folder), "--stable-seconds", "0.2", **use_policy(system, policy), **secrets)
        (folder / "orders_2.csv.pgp").write_bytes(keys.encrypted(CONTENT))
        eventually(lambda: "rejected" in system.names(), 30, "the one that is not signed is rejected")
        (folder / "orders_1.csv.pgp").write_bytes(partner.signed_for(keys, CONTENT))
        imported_once(system, sftp_server)
        [rejected] = [each for each in system.events() if each["type"] == "sfmc.import.rejected"]
        assert (rejected["data"]["code"], rejected["data"]["file"]["name"]) == ("bad_signature", "orders_2.csv.pgp")

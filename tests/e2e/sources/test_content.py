"""Files that posts and streams only name: read where they lie, delivered by SFTP, imported by the sandbox."""

import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.sources.test_delivered_content import CONTENT, SECRET, delivering, imported_once, prepare
from tests.integration.delivery.conftest import sftp_server  # noqa: F401 - a fixture
from tests.support import posts
from tests.support.aws_server import LOGIN, AwsServer, aws_server
from tests.support.azure_blobs import blob_server
from tests.support.azure_containers import KEY
from tests.support.azure_server import azurite, azurite_program
from tests.support.google_server import ACCESS, GoogleServer, google_server
from tests.support.google_server import SECRET as GOOGLE_SECRET
from tests.support.processes import RunningSystem, running_system
from tests.support.push_servers import Server, running_server
from tests.support.rights import permit
from tests.support.sftp_server import PASSWORD, USER, SftpTestServer
from tests.support.sources import example_of, running_source, use_policy
from tests.support.waiting import eventually

TOKEN = "a-token-of-these-tests"
INBOX = "{sfmc-import:events}:inbox:"
BUCKET_KEYS = {
    "SFMC_SOURCE_DROP_CONTENT_ACCESS_KEY": LOGIN["AWS_ACCESS_KEY_ID"],
    "SFMC_SOURCE_DROP_CONTENT_SECRET_KEY": LOGIN["AWS_SECRET_ACCESS_KEY"],
}
GOOGLE_KEYS = {
    "SFMC_SOURCE_DROP_CONTENT_ACCESS_KEY": ACCESS,
    "SFMC_SOURCE_DROP_CONTENT_SECRET_KEY": GOOGLE_SECRET,
}


def post(server: Server, event: Any, source: str = "drop") -> dict[str, int]:
    """Post as a store does, with the token in the address."""
    headers = {"authorization": f"Bearer {TOKEN}"}
    answer = httpx.post(f"{server.url}/events/{source}", json=event, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    counts: dict[str, int] = answer.json()
    return counts


def minio_post(aws: AwsServer, key: str = "in/orders_1.csv") -> dict[str, Any]:
    """What MinIO posts of an object that lies there."""
    head = aws.s3.head_object(Bucket="drop", Key=key)
    item = {"key": key, "size": head["ContentLength"], "eTag": head["ETag"].strip('"'), "sequencer": "16D5A0"}
    return posts.minio(posts.s3_record(s3={"bucket": {"name": "drop"}, "object": item}))


def of_minio(aws: AwsServer, target: Any, **changes: str) -> str:
    """The example of the page at this server, with the route and target of the page on delivery."""
    here = {"https://minio.example.com": aws.url, 'bucket = "drop"': 'bucket = "drop"\nregion = "eu-central-1"'}
    return example_of("content", **here, **changes) + delivering(target)


def handled(system: RunningSystem, source: str = "drop") -> None:
    eventually(lambda: system.client.xlen(f"{INBOX}{source}") == 0, 30, "the events are handled")


@pytest.mark.nightly
def test_posts_of_minio_become_one_import_of_the_object_and_a_scan_finds_nothing_new(sftp_server) -> None:  # noqa: F811
    secrets = {"SFMC_SOURCE_DROP_SECRET": TOKEN, **BUCKET_KEYS, **SECRET}
    with aws_server() as aws, running_system(least_rights=True) as system:
        prepare(system, sftp_server)
        aws.bucket("drop")
        aws.put("in/orders_1.csv", CONTENT)
        policy = of_minio(aws, sftp_server)
        with running_server(system, policy, **secrets) as server:
            # No producer runs yet: what was answered stays.
            for _ in range(3):
                assert post(server, minio_post(aws)) == {"taken": 1, "ignored": 0, "set_aside": 0}
            assert system.client.xlen(f"{INBOX}drop") == 3
        with running_source(system, "drop", policy, **secrets):
            imported_once(system, sftp_server)
            handled(system)
        done = system.run("scan", "drop", "--json", "--since", "2000d", **use_policy(system, policy), **secrets)
        counts = json.loads(done.stdout.splitlines()[-1])["counts"]
        assert (counts["seen"], counts["known"], counts["new"]) == (1, 1, 0), done.stdout + done.stderr


@pytest.mark.nightly
def test_a_message_of_google_becomes_an_import_and_a_scan_finds_what_no_message_named(sftp_server) -> None:  # noqa: F811
    with google_server() as google, running_system(least_rights=True) as system:
        prepare(system, sftp_server)
        google.put("in/orders_1.csv", CONTENT)
        policy = of_google(google) + delivering(sftp_server)
        secrets = {"SFMC_SOURCE_DROP_SECRET": TOKEN, **GOOGLE_KEYS, **SECRET}
        with running_server(system, policy, **secrets) as server:
            size = posts.packed({**posts.google_object("in/orders_1.csv"), "size": str(len(CONTENT))})
            message = posts.pubsub("in/orders_1.csv")
            message["message"]["data"] = posts.b64encode(size).decode()
            post(server, message)
        with running_source(system, "drop", policy, **secrets):
            imported_once(system, sftp_server)
            handled(system)
        google.put("in/orders_2.csv", CONTENT, "1736046600222222")
        done = system.run("scan", "drop", "--json", "--since", "2000d", **use_policy(system, policy), **secrets)
        found = [json.loads(line) for line in done.stdout.splitlines()]
        assert [each["file"]["name"] for each in found if "file" in each] == ["orders_2.csv"], done.stderr
        assert (found[-1]["counts"]["known"], found[-1]["counts"]["new"]) == (1, 1)


def of_google(google: GoogleServer) -> str:
    """The example of the page at this server; Google's own tokens are tested where they are read."""
    text = example_of("content-gcs", **{'prefix = "in/"': f'prefix = "in/"\nendpoint_url = "{google.url}"'})
    lines = [line for line in text.splitlines() if not line.startswith(("audience", "email"))]
    return "\n".join(lines).replace('"google-oidc"', '"bearer"') + "\n"


@pytest.mark.nightly
def test_an_upload_to_sftpgo_is_read_by_sftp_and_becomes_an_import(sftp_server, tmp_path) -> None:  # noqa: F811
    (tmp_path / "partner" / "in").mkdir(parents=True)
    with running_system(least_rights=True) as system, SftpTestServer(tmp_path / "partner") as partner:
        prepare(system, sftp_server)
        file = partner.root / "in" / "orders_1.csv"
        file.write_bytes(CONTENT)
        os.utime(file, (1_767_582_600, 1_767_582_600))
        secrets = {"SFMC_SOURCE_FILES_SECRET": TOKEN, "SFMC_SOURCE_FILES_CONTENT_PASSWORD": PASSWORD, **SECRET}
        policy = of_sftpgo(partner) + delivering(sftp_server)
        with running_server(system, policy, **secrets) as server, running_source(system, "files", policy, **secrets):
            post(server, posts.sftpgo("/in/orders_1.csv", file_size=len(CONTENT)), "files")
            imported_once(system, sftp_server)
            handled(system, "files")
        [event] = [each for each in system.events() if each["type"].endswith(".completed")]
        assert event["data"]["file"]["location"] == f"sftp://127.0.0.1:{partner.port}/in"


def of_sftpgo(partner: SftpTestServer) -> str:
    return example_of(
        "content-sftp",
        **{
            "sftp.example.com": "127.0.0.1",
            "port = 2022": f"port = {partner.port}",
            'user = "imports"': f'user = "{USER}"',
            "SHA256:replace-with-the-fingerprint-of-your-server": partner.fingerprint,
        },
    )


@pytest.mark.nightly
def test_a_blob_that_event_grid_posts_becomes_an_import(sftp_server) -> None:  # noqa: F811
    with blob_server() as blobs, running_system(least_rights=True) as system:
        prepare(system, sftp_server)
        blobs.put("drop/in/orders_1.csv", CONTENT, "0x8D4B")
        connection = f"AccountName=acc;AccountKey={KEY};{blobs.endpoint}"
        import_of_azure(system, sftp_server, example_of("content-azure"), connection, blob_posted("acc", "0x8D4B"))


@pytest.mark.skipif(azurite_program() is None, reason="Azurite is not installed")
def test_a_blob_of_azurite_that_event_grid_posts_becomes_an_import(sftp_server, tmp_path: Path) -> None:  # noqa: F811
    from azure.storage.blob import BlobServiceClient  # noqa: PLC0415 - beside its only use

    with azurite(tmp_path) as server, running_system(least_rights=True) as system:
        prepare(system, sftp_server)
        with BlobServiceClient.from_connection_string(server.connection) as blobs:
            blobs.create_container("drop")
            uploaded = blobs.get_blob_client("drop", "in/orders_1.csv").upload_blob(CONTENT)
        policy = example_of("content-azure", **{'account = "acc"': 'account = "devstoreaccount1"'})
        event = blob_posted("devstoreaccount1", str(uploaded["etag"]))
        import_of_azure(system, sftp_server, policy, server.connection, event)
        secrets = {"SFMC_SOURCE_DROP_SECRET": TOKEN, "SFMC_SOURCE_DROP_CONTENT_CONNECTION": server.connection, **SECRET}
        options = use_policy(system, policy + delivering(sftp_server))
        done = system.run("scan", "drop", "--json", "--since", "2000d", **options, **secrets)
        counts = json.loads(done.stdout.splitlines()[-1])["counts"]
        assert (counts["known"], counts["new"]) == (1, 0), done.stdout + done.stderr


def blob_posted(account: str, etag: str) -> list[dict[str, Any]]:
    event = posts.blob_created("in/orders_1.csv", eTag=etag, contentLength=len(CONTENT))
    return [{**event, "topic": event["topic"].replace("/acc", f"/{account}")}]


def import_of_azure(system: RunningSystem, target: Any, example: str, connection: str, event: Any) -> None:
    secrets = {"SFMC_SOURCE_DROP_SECRET": TOKEN, "SFMC_SOURCE_DROP_CONTENT_CONNECTION": connection, **SECRET}
    policy = example + delivering(target)
    with running_server(system, policy, **secrets) as server, running_source(system, "drop", policy, **secrets):
        post(server, event)
        imported_once(system, target)
        handled(system)


@pytest.mark.nightly
def test_an_entry_of_a_stream_names_an_object_that_is_delivered(sftp_server) -> None:  # noqa: F811
    with aws_server() as aws, running_system(least_rights=True) as system:
        permit(system.client, "producer", "~drop:arrivals")
        prepare(system, sftp_server)
        aws.bucket("drop")
        aws.put("in/orders_1.csv", CONTENT)
        lines = f'[source.content]\nkind = "s3"\nbucket = "drop"\nregion = "eu-central-1"\nendpoint_url = "{aws.url}"\n'
        source = example_of("stream").partition("[[source.route]]")[0].replace('"arrivals"', '"drop"')
        etag = aws.s3.head_object(Bucket="drop", Key="in/orders_1.csv")["ETag"].strip('"')
        file = {"location": "s3://drop/in", "name": "orders_1.csv", "size": len(CONTENT), "version": etag}
        for _ in range(2):
            system.client.xadd("drop:arrivals", {"event": json.dumps({"file": file})})
        policy = source + lines + delivering(sftp_server)
        with running_source(system, "drop", policy, **BUCKET_KEYS, **SECRET):
            imported_once(system, sftp_server)


@pytest.mark.nightly
def test_a_wrong_key_stops_the_producer_with_one_line_and_what_was_posted_waits_for_the_right_one(sftp_server) -> None:  # noqa: F811
    wrong = GOOGLE_KEYS | {"SFMC_SOURCE_DROP_CONTENT_ACCESS_KEY": "GOOG1EWRONG"}
    with google_server() as google, running_system(least_rights=True) as system:
        prepare(system, sftp_server)
        google.put("in/orders_1.csv", CONTENT)
        policy = of_google(google) + delivering(sftp_server)
        secrets = {"SFMC_SOURCE_DROP_SECRET": TOKEN, **SECRET}
        with running_server(system, policy, **secrets, **GOOGLE_KEYS) as server:
            post(server, posts.pubsub("in/orders_1.csv", payloadFormat="NONE"))
            with running_source(system, "drop", policy, **secrets, **wrong) as child:
                assert child.wait(30) == 1
            lines = [json.loads(line) for line in system.log_of(child).read_text("utf-8").splitlines()]
            [said] = [each for each in lines if each["level"] in {"error", "warning"}]
            assert said["event"] == "source_stopped"
            assert "SignatureDoesNotMatch" in said["reason"]
            assert google.asked == []
            with running_source(system, "drop", policy, **secrets, **GOOGLE_KEYS):
                imported_once(system, sftp_server)


@pytest.mark.nightly
def test_a_replaced_object_is_set_aside_and_a_source_that_cannot_be_listed_says_why(sftp_server) -> None:  # noqa: F811
    secrets = {"SFMC_SOURCE_DROP_SECRET": TOKEN, **BUCKET_KEYS, **SECRET}
    with aws_server() as aws, running_system(least_rights=True) as system:
        prepare(system, sftp_server)
        aws.bucket("drop")
        aws.put("in/orders_1.csv", b"Key,Value\n0,old\n")
        policy = of_minio(aws, sftp_server)
        with running_server(system, policy, **secrets) as server, running_source(system, "drop", policy, **secrets):
            old = minio_post(aws)
            aws.put("in/orders_1.csv", CONTENT)
            post(server, old)
            post(server, minio_post(aws))
            imported_once(system, sftp_server)
            handled(system)
        [letter] = [json.loads(line) for line in system.run("dead-letters", "list", "--json").stdout.splitlines()]
        assert "was replaced after it arrived" in letter["detail"]
        none = example_of("push") + '\n[source.content]\nkind = "s3"\n'
        done = system.run("sources", **use_policy(system, none))
        assert done.returncode == 2
        assert "content: " in done.stderr
        assert "bucket: missing" in done.stderr

"""The content of events in each kind of store: what is read is what arrived, and what is listed has its identity."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from sfmc_import.errors import SettingsError
from sfmc_producers.content_errors import ContentChangedError, ContentGoneError, ContentUnavailableError
from sfmc_producers.contents.azure import open_azure
from sfmc_producers.contents.gcs import open_gcs
from sfmc_producers.contents.opening import Contents
from sfmc_producers.contents.s3 import open_s3
from sfmc_producers.contents.sftp import open_sftp
from sfmc_producers.contents.tables import AzureContent, GcsContent, S3Content, SftpContent
from sfmc_producers.push import pubsub, s3, sftpgo
from sfmc_producers.push.posts import Place
from sfmc_producers.sources import blob_events
from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.sources.receiving import SourceRefusedError
from tests.support import posts
from tests.support.aws_server import AwsServer, aws_server
from tests.support.azure_blobs import blob_server
from tests.support.azure_containers import KEY, Blob, container_server
from tests.support.google_server import ACCESS, SECRET, GoogleServer, google_server
from tests.support.sftp_server import PASSWORD, USER, SftpTestServer
from tests.support.waiting import eventually

CONTENT = os.urandom(3_000_000)
KEYS = ("a-key", "a-secret-of-this-test")


def read(arrival: Arrival) -> bytes:
    assert arrival.open_content is not None
    with arrival.open_content() as content:
        return b"".join(iter(lambda: content.read(1_000_000), b""))


def arrived(record: object) -> Arrival:
    assert isinstance(record, Arrival)
    return record


@pytest.fixture(scope="module")
def google() -> Iterator[GoogleServer]:
    with google_server() as made:
        made.put("in/orders.csv", CONTENT)
        yield made


def of_google(google: GoogleServer, access: str = ACCESS) -> Contents:
    options = GcsContent.model_validate({"kind": "gcs", "bucket": "drop", "prefix": "in/", "endpoint_url": google.url})
    return open_gcs(options, (access, SECRET))


def google_event(name: str = "in/orders.csv") -> Arrival:
    return replace(arrived(pubsub.read(posts.pubsub(name))), event_id=None)


def sized(arrival: Arrival, content: bytes = CONTENT) -> Arrival:
    return replace(arrival, file=replace(arrival.file, size=len(content)))


def test_an_object_of_google_is_read_in_the_generation_of_its_event(google) -> None:
    google.asked.clear()
    assert read(of_google(google).with_content(sized(google_event()))) == CONTENT
    assert google.asked
    assert all("generation=1736046600123456" in each for each in google.asked)


@pytest.mark.parametrize("what", ["replaced", "gone"])
def test_an_object_of_google_that_was_replaced_or_is_gone_is_never_read(google, what) -> None:
    google.put("in/other.csv", CONTENT)
    found = of_google(google).with_content(sized(google_event("in/other.csv")))
    if what == "replaced":
        google.put("in/other.csv", CONTENT[::-1], "1736046600999999")
    else:
        google.remove("in/other.csv")
    with pytest.raises(ContentGoneError, match="is gone, or was replaced"):
        read(found)
    google.put("in/other.csv", b"")
    google.remove("in/other.csv")


def test_an_object_of_google_that_is_named_without_generation_is_read_as_one_and_not_resumed(google) -> None:
    named = google_event()
    bare = replace(named, file=replace(named.file, size=None, version=None), event_id="e1")
    google.asked.clear()
    opened = of_google(google).with_content(bare)
    assert opened.open_content is not None
    assert not opened.open_content().seekable()
    assert read(opened) == CONTENT
    assert "generation=1736046600123456" in google.asked[-1]


def test_a_store_that_tells_no_generation_gives_no_file_that_could_be_of_two(google) -> None:
    google.put("in/none.csv", CONTENT, "")
    bare = replace(google_event("in/none.csv"), event_id="e1")
    bare = replace(bare, file=replace(bare.file, size=None, version=None))
    with pytest.raises(ContentUnavailableError, match="does not say of which generation"):
        read(of_google(google).with_content(bare))
    google.remove("in/none.csv")


def test_a_listing_of_google_has_the_identity_of_its_events_on_every_page(google) -> None:
    names = [f"in/{name}" for name in ("ü 1+2%20.csv", "a/b.csv", "orders.csv")]
    for name in names[:2]:
        google.put(name, b"x" * 120)
    google.put("in/folder/", b"")
    google.put("out/other.csv", b"")
    google.page = 2
    try:
        listed = {each.file for each in of_google(google).list_arrivals()}
    finally:
        google.page = 1000
    assert listed == {sized(google_event(each), CONTENT if "orders" in each else b"x" * 120).file for each in names}


def test_a_wrong_key_of_google_is_said_once_and_is_no_error_of_the_file(google) -> None:
    contents = of_google(google, "GOOG1EWRONG")
    with pytest.raises(SourceRefusedError, match=r"bucket drop: .*SignatureDoesNotMatch"):
        contents.require()
    with pytest.raises(ContentUnavailableError):
        read(contents.with_content(sized(google_event())))


@pytest.fixture(scope="module")
def aws() -> Iterator[AwsServer]:
    with aws_server() as made:
        made.bucket("drop")
        made.bucket("others")
        made.put("in/orders.csv", CONTENT)
        yield made


def of_s3(aws: AwsServer) -> Contents:
    lines = {"kind": "s3", "bucket": "drop", "region": "eu-central-1", "endpoint_url": aws.url}
    return open_s3(S3Content.model_validate(lines), KEYS)


def s3_event(aws: AwsServer, key: str = "in/orders.csv", bucket: str = "drop") -> Arrival:
    head = aws.s3.head_object(Bucket=bucket, Key=key)
    item = {"key": key, "size": head["ContentLength"], "eTag": head["ETag"]}
    return arrived(s3.read({**posts.s3_record(), "s3": {"bucket": {"name": bucket}, "object": item}}))


def test_an_object_of_s3_is_read_and_listed_as_the_post_of_its_store_names_it(aws) -> None:
    contents, event = of_s3(aws), s3_event(aws)
    contents.require()
    assert read(contents.with_content(event)) == CONTENT
    assert [each.file for each in contents.list_arrivals()] == [event.file]
    contents.close()
    assert read(contents.with_content(event)) == CONTENT


def test_an_event_cannot_have_a_file_of_another_bucket_read_that_the_login_may_read(aws) -> None:
    aws.put("secret.csv", b"secret", bucket="others")
    with pytest.raises(ContentGoneError, match="does not lie below s3://drop"):
        read(of_s3(aws).with_content(s3_event(aws, "secret.csv", "others")))


def test_a_bucket_that_is_not_there_is_one_clear_line(aws) -> None:
    lines = {"kind": "s3", "bucket": "no-such", "region": "eu-central-1", "endpoint_url": aws.url}
    with pytest.raises(SourceRefusedError, match=r"bucket no-such: .*NoSuchBucket"):
        open_s3(S3Content.model_validate(lines), KEYS).require()


def azure_lines(**more: Any) -> AzureContent:
    return AzureContent.model_validate({"kind": "azure", "account": "acc", "container": "drop", **more})


def blob_event(name: str, etag: str, size: int) -> Arrival:
    return arrived(blob_events.read(posts.blob_created(name, eTag=etag, contentLength=size)))


def test_a_blob_is_read_as_event_grid_posts_it_and_one_that_was_replaced_is_not() -> None:
    with blob_server() as blobs:
        connection = SecretStr(f"AccountName=acc;AccountKey={KEY};{blobs.endpoint}")
        contents = open_azure(azure_lines(), connection, "X")
        blobs.put("drop/in/orders.csv", CONTENT, "0x8D4B")
        event = contents.with_content(blob_event("in/orders.csv", "0x8D4B", len(CONTENT)))
        assert read(event) == CONTENT
        blobs.put("drop/in/orders.csv", CONTENT[::-1], "0x8D4C")
        with pytest.raises(ContentGoneError, match="is gone, or was replaced"):
            read(event)


def test_a_container_is_listed_as_its_events_and_a_refused_login_is_one_line() -> None:
    with container_server() as server:
        server.containers["drop"] = [Blob("in/orders.csv")]
        contents = open_azure(azure_lines(prefix="in/"), SecretStr(server.connection), "X")
        contents.require()
        assert [each.file for each in contents.list_arrivals()] == [blob_event("in/orders.csv", "0x8D4B", 120).file]
        refused = open_azure(azure_lines(container="forbidden"), SecretStr(server.connection), "SFMC_X")
        with pytest.raises(SourceRefusedError, match="container forbidden: the login is refused"):
            refused.require()


def test_a_connection_string_of_another_account_is_refused_at_the_start() -> None:
    connection = SecretStr(f"AccountName=other;AccountKey={KEY};BlobEndpoint=http://127.0.0.1:9/other")
    with pytest.raises(SettingsError, match=r"SFMC_X: it is of account other; \[source.content\] names acc"):
        open_azure(azure_lines(), connection, "SFMC_X")


@pytest.fixture
def sftp(tmp_path) -> Iterator[SftpTestServer]:
    with SftpTestServer(tmp_path / "served") as made:
        (made.root / "in").mkdir(parents=True)
        (made.root / "in" / "orders.csv").write_bytes(CONTENT)
        os.utime(made.root / "in" / "orders.csv", (1_767_582_600, 1_767_582_600))
        yield made


def of_sftp(server: SftpTestServer, password: str = PASSWORD, **more: Any) -> Any:
    lines = {"kind": "sftp", "host": "127.0.0.1", "port": server.port, "user": USER, "timeout": 5}
    options = SftpContent.model_validate(lines | {"host_keys": [server.fingerprint], **more})
    secret = {"password": SecretStr(password)}
    return open_sftp(options, "files", secret.get)


def upload(server: SftpTestServer, **changes: Any) -> Arrival:
    event = posts.sftpgo("/in/orders.csv", **({"file_size": len(CONTENT)} | changes))
    return arrived(sftpgo.read(event, Place(f"sftp://127.0.0.1:{server.port}")))


def test_a_file_of_sftpgo_is_read_by_sftp_and_never_resumed(sftp) -> None:
    contents = of_sftp(sftp)
    contents.require()
    found = contents.with_content(upload(sftp))
    assert read(found) == CONTENT
    with found.open_content() as content:
        assert not content.seekable()
    contents.close()
    assert sftp.logins == [("password", True)]


def grown(path: Path) -> None:
    path.write_bytes(CONTENT + b"more")


def rewritten_later(path: Path) -> None:
    os.utime(path, (1_767_582_700, 1_767_582_700))


def removed(path: Path) -> None:
    path.unlink()


def linked(path: Path) -> None:
    path.rename(path.with_name("real"))
    path.symlink_to("real")


@pytest.mark.parametrize("change", [grown, rewritten_later, removed, linked], ids=lambda each: each.__name__)
def test_a_file_of_sftp_that_is_another_than_the_event_says_is_never_read(sftp, change: Callable[[Path], None]) -> None:
    contents = of_sftp(sftp)
    change(sftp.root / "in" / "orders.csv")
    with pytest.raises(ContentGoneError, match=r"orders\.csv is (gone|another)"):
        read(contents.with_content(upload(sftp)))
    contents.close()


def test_a_file_of_sftp_that_changes_while_it_is_read_is_no_whole_file(sftp) -> None:
    contents = of_sftp(sftp)
    found = contents.with_content(upload(sftp))
    with found.open_content() as content:
        content.read(1000)
        os.utime(sftp.root / "in" / "orders.csv", (1_767_582_601, 1_767_582_601))
        pieces = iter(lambda: content.read(1_000_000), b"")
        with pytest.raises(ContentChangedError, match="changed while it was read"):
            list(pieces)
    contents.close()


@pytest.mark.parametrize("path", ["/in/../orders.csv", "/./orders.csv"])
def test_a_path_of_an_event_leads_nowhere_else(sftp, path) -> None:
    contents = of_sftp(sftp)
    found = arrived(sftpgo.read(posts.sftpgo(path), Place(f"sftp://127.0.0.1:{sftp.port}")))
    with pytest.raises(ContentGoneError, match=r"has a part \. or \.\."):
        read(contents.with_content(found))
    contents.close()
    assert sftp.logins == []


def behind_a_link(sftp: SftpTestServer) -> Arrival:
    """A file outside of /in, with a path that leads there through a link in /in."""
    secret = sftp.root / "secret"
    secret.mkdir()
    (sftp.root / "in" / "orders.csv").rename(secret / "orders.csv")
    (sftp.root / "in" / "month").symlink_to(secret)
    event = posts.sftpgo("/in/month/orders.csv", file_size=len(CONTENT))
    return arrived(sftpgo.read(event, Place(f"sftp://127.0.0.1:{sftp.port}")))


def test_a_link_to_a_folder_leads_out_of_the_folder_of_the_table_to_no_file(sftp) -> None:
    contents = of_sftp(sftp, dir="/in")
    with pytest.raises(ContentGoneError, match=r"orders\.csv lies behind a link"):
        read(contents.with_content(behind_a_link(sftp)))
    contents.close()


def test_a_link_to_a_folder_is_followed_where_the_table_names_the_whole_server(sftp) -> None:
    contents = of_sftp(sftp)
    assert read(contents.with_content(behind_a_link(sftp))) == CONTENT
    contents.close()


def test_a_file_outside_of_the_folder_of_the_table_is_not_read(sftp) -> None:
    contents = of_sftp(sftp, dir="/out")
    with pytest.raises(ContentGoneError, match="does not lie below"):
        read(contents.with_content(upload(sftp)))
    assert sftp.logins == []


def test_a_file_that_is_read_while_its_source_ends_is_read_whole_and_then_no_connection_is_left(sftp) -> None:
    contents = of_sftp(sftp)
    found = contents.with_content(upload(sftp))
    with found.open_content() as content:
        first = content.read(1000)
        contents.close()
        assert first + b"".join(iter(lambda: content.read(1_000_000), b"")) == CONTENT
        assert len(sftp.open) == 1
    eventually(lambda: not sftp.open, 10, "the connection is closed")


def test_a_refused_password_is_sent_once_and_said_in_one_line(sftp) -> None:
    contents = of_sftp(sftp, "wrong")
    with pytest.raises(SourceRefusedError, match="refuses user"):
        contents.require()
    for _ in range(3):
        with pytest.raises(ContentUnavailableError, match="refuses user"):
            read(contents.with_content(upload(sftp)))
    contents.close()
    assert sftp.logins == [("password", False)]


def test_a_server_whose_login_no_secret_gives_is_named_at_the_start() -> None:
    options = SftpContent.model_validate(
        {"kind": "sftp", "host": "h", "user": "u", "host_keys": ["SHA256:" + "a" * 43]}
    )
    with pytest.raises(SettingsError, match="SFMC_SOURCE_FILES_CONTENT_PASSWORD"):
        open_sftp(options, "files", lambda _: None)


def test_what_cannot_be_listed_says_what_to_use_instead(sftp) -> None:
    contents = of_sftp(sftp)
    with pytest.raises(SourceRefusedError, match="content of kind sftp is not listed"):
        contents.list_arrivals()
    contents.close()

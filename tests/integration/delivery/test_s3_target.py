"""A file is delivered to S3 and submitted, whatever dies at whichever step; the server is moto's."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session

from sfmc_producers.content_errors import ContentUnavailableError
from sfmc_producers.delivery.job import deliver
from sfmc_producers.delivery.records import Records
from sfmc_producers.delivery.targets import FileRefusedError, TargetRefusedError, TargetUnavailableError
from tests.integration.delivery import s3_delivery
from tests.integration.delivery.s3_delivery import KEYS, KILLED, PART, job_of, run, session_of
from tests.support.aws_server import LOGIN, AwsServer, aws_server

KEY = "import/orders.csv"
STEPS = ["list", "create", "part 1", "part 2", "part 3", "complete", "head"]
KILLED_AT = [
    pytest.param(number, id=step, marks=[pytest.mark.nightly] * (step in {"list", "part 1", "part 3"}))
    for number, step in enumerate(STEPS, 1)
]


@dataclass
class World:
    """A bucket, a record in Redis and a file; `sent` names the requests that reached S3."""

    aws: AwsServer
    redis: Any
    url: str
    path: Path
    sent: list[str] = field(default_factory=list)
    submitted: list[tuple[str, bytes]] = field(default_factory=list)

    def object(self, key: str = KEY) -> bytes:
        return self.aws.s3.get_object(Bucket="drop", Key=key)["Body"].read()

    def names(self) -> list[str]:
        return [each["Key"] for each in self.aws.s3.list_objects_v2(Bucket="drop").get("Contents", ())]

    def uploads(self) -> int:
        return len(self.aws.s3.list_multipart_uploads(Bucket="drop").get("Uploads", ()))

    def deliver(self, fingerprint: str = "f1", request: str = "r1", name: str = "orders.csv", **lines: Any) -> Any:
        def submit() -> str:
            self.submitted.append((request, self.object(f"import/{name}")))
            return request

        job = job_of(self.path, submit, fingerprint, request, name)
        return run(job, Records(self.redis, KEYS, 60), session_of(self.aws.url, **lines))

    def child(self, kind: str, number: int) -> subprocess.CompletedProcess[str]:
        given = [sys.executable, s3_delivery.__file__, self.url, self.aws.url, str(self.path), kind, str(number)]
        env = {**os.environ, **LOGIN}
        return subprocess.run(given, env=env, capture_output=True, text=True, timeout=120, check=False)

    def end_leases(self) -> None:
        """Let the time pass for which a process that was killed keeps the name."""
        for key in self.redis.scan_iter():
            if self.redis.type(key) == b"hash" and self.redis.hexists(key, "lease"):
                self.redis.hset(key, "lease", 0)


@pytest.fixture(scope="module")
def aws() -> Iterator[AwsServer]:
    with aws_server() as made:
        made.bucket("drop")
        yield made


@pytest.fixture
def world(aws, redis_server, tmp_path, monkeypatch) -> Iterator[World]:
    for name, value in LOGIN.items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "orders.csv"
    path.write_bytes(os.urandom(2 * PART + 1_000_000))
    with redis_py.Redis.from_url(redis_server.url, socket_timeout=10) as client:
        made = World(aws, client, redis_server.url, path)
        monkeypatch.setattr(URLLib3Session, "send", counting(made.sent, made.aws.url))
        yield made
    for key in made.names():
        aws.s3.delete_object(Bucket="drop", Key=key)
    for each in aws.s3.list_multipart_uploads(Bucket="drop").get("Uploads", ()):
        aws.s3.abort_multipart_upload(Bucket="drop", Key=each["Key"], UploadId=each["UploadId"])


def counting(sent: list[str], url: str) -> Any:
    def send(self: URLLib3Session, request: Any) -> Any:
        if "partNumber=" in request.url:
            sent.append(request.url.removeprefix(url).partition("partNumber=")[2].partition("&")[0])
        return s3_delivery.REAL_SEND(self, request)

    return send


def test_a_file_is_there_whole_and_alone_when_its_request_is_submitted(world) -> None:
    assert world.deliver() == "r1"
    assert world.submitted == [("r1", world.path.read_bytes())]
    assert (world.names(), world.uploads()) == ([KEY], 0)


def test_a_delivered_file_is_not_sent_again_and_its_request_is_submitted_again(world) -> None:
    world.deliver()
    world.aws.put(KEY, b"was imported, then emptied")
    assert world.deliver() == "r1"
    assert world.submitted[1][1] == b"was imported, then emptied"


@pytest.mark.parametrize("size", [0, 1, PART, PART + 1], ids=str)
def test_a_file_of_any_size_is_the_same_there(world, size) -> None:
    world.path.write_bytes(content := os.urandom(size))
    world.deliver()
    assert (world.submitted, world.uploads()) == ([("r1", content)], 0)


@pytest.mark.parametrize("name", ["ü 1+2%20&=.csv", "-rf", "a'b,c;.csv"])
def test_names_are_names(world, name) -> None:
    world.path.write_bytes(b"Key\n1\n")
    world.deliver(name=name)
    assert world.names() == [f"import/{name}"]


@pytest.mark.parametrize("kind", ["before", "after"])
@pytest.mark.parametrize("number", KILLED_AT)
def test_whoever_is_killed_at_whichever_request_the_file_is_there_once_and_its_request_is_submitted(
    world, kind, number
) -> None:
    assert world.child(kind, number).returncode == KILLED
    is_complete = number > STEPS.index("complete") + (kind == "before")
    assert world.names() == ([KEY] if is_complete else [])
    world.end_leases()

    assert world.deliver() == "r1"
    assert world.submitted == [("r1", world.path.read_bytes())]
    assert (world.names(), world.uploads()) == ([KEY], 0)
    there = max(0, min(3, number - 3 + (kind == "after")))
    assert world.sent == [] if is_complete else world.sent == [str(each) for each in range(there + 1, 4)]


def test_of_what_is_there_only_the_parts_of_this_file_are_used(world) -> None:
    content = world.path.read_bytes()
    given = {"Bucket": "drop", "Key": KEY}
    upload = world.aws.s3.create_multipart_upload(**given)["UploadId"]
    for number, part in enumerate([content[:PART], b"x" * PART, b"y" * PART, b"z" * 1_000_000], start=1):
        world.aws.s3.upload_part(**given, UploadId=upload, PartNumber=number, Body=part)
    world.sent.clear()
    world.deliver()
    assert world.submitted == [("r1", content)]
    assert world.sent == ["2", "3"]


def test_an_upload_that_a_newer_file_replaces_is_ended(world) -> None:
    world.child("after", STEPS.index("part 2") + 1)
    assert world.uploads() == 1
    world.end_leases()
    world.path.write_bytes(b"newer")
    assert world.deliver("f2", "r2") == "r2"
    assert (world.submitted, world.uploads()) == ([("r2", b"newer")], 0)


def test_a_program_that_was_frozen_cannot_complete_what_a_newer_file_has_replaced(world) -> None:
    frozen = session_of(world.aws.url)
    frozen.connect()
    job = job_of(world.path, lambda: "r1")
    size = frozen.upload(".sfmc-f1.part", "orders.csv", job.open_content, lambda _: None)
    newer = session_of(world.aws.url)
    newer.connect()
    newer.discard(".sfmc-f1.part", "orders.csv")
    world.aws.put(KEY, b"newer")
    # S3 says NoSuchUpload, moto that it has failed.
    with pytest.raises((FileRefusedError, TargetUnavailableError)):
        frozen.rename(".sfmc-f1.part", "orders.csv", size)
    for each in (frozen, newer):
        each.close()
    assert world.object() == b"newer"


def test_a_lost_answer_to_the_completion_is_no_failure(world, monkeypatch) -> None:
    lost = []

    def send(self: URLLib3Session, request: Any) -> Any:
        answer = s3_delivery.REAL_SEND(self, request)
        if request.method == "POST" and "uploadId=" in request.url and not lost:
            lost.append(request.url)
            raise ConnectionClosedError(endpoint_url=request.url)
        return answer

    monkeypatch.setattr(URLLib3Session, "send", send)
    assert world.deliver() == "r1"
    assert (len(lost), world.submitted) == (1, [("r1", world.path.read_bytes())])


def test_what_s3_refuses_is_sent_anew_by_the_next_attempt(world, monkeypatch) -> None:
    def send(self: URLLib3Session, request: Any) -> Any:
        if "partNumber=2" in request.url:
            request.url = request.url.replace("partNumber=2", "partNumber=20000")
        return s3_delivery.REAL_SEND(self, request)

    with monkeypatch.context() as patched:
        patched.setattr(URLLib3Session, "send", send)
        with pytest.raises(FileRefusedError, match="drop/import"):
            world.deliver()
    assert world.uploads() == 0
    assert world.deliver() == "r1"


def test_a_bucket_that_is_not_there_is_said_with_what_to_do(world) -> None:
    with pytest.raises(TargetRefusedError, match="check the login of AWS, its rights, the name"):
        world.deliver(bucket="no-such-bucket")


def test_without_a_login_it_is_said_that_one_is_needed(world, monkeypatch, tmp_path) -> None:
    for name in LOGIN:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(TargetRefusedError, match="give the login of AWS"):
        world.deliver()


def test_a_server_that_does_not_answer_is_waited_for_until_the_deadline(world) -> None:
    said = pytest.raises(TargetUnavailableError, match="no answer within")
    with socket.create_server(("127.0.0.1", 0)) as silent, said:
        world.deliver(endpoint_url=f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.3)


def test_a_server_that_is_not_there_is_unavailable(world) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(TargetUnavailableError, match="drop/import"):
        world.deliver(endpoint_url=f"http://127.0.0.1:{port}")


def test_memory_does_not_grow_with_the_file(world) -> None:
    with world.path.open("wb") as file:
        file.truncate(100_000_000)
    done = world.child("before", 0)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 40_000
    assert world.aws.s3.head_object(Bucket="drop", Key=KEY)["ContentLength"] == 100_000_000


def test_a_read_that_hangs_holds_up_no_other_file_of_the_same_session(world) -> None:
    hangs = threading.Event()

    class Hanging:
        def read(self, _: int) -> bytes:
            hangs.wait(60)
            return b""

        def close(self) -> None:
            return None

    session, records = session_of(world.aws.url, timeout=5), Records(world.redis, KEYS, 60)
    session.connect()
    try:
        hanging = replace(job_of(world.path, lambda: "r9", "f9", "r9", "hangs.csv"), open_content=Hanging)
        with pytest.raises(ContentUnavailableError, match="not read in time"):
            deliver(hanging, records, lambda: session)
        assert deliver(job_of(world.path, lambda: "r1"), records, lambda: session) == "r1"
        assert world.object() == world.path.read_bytes()
    finally:
        hangs.set()
        session.close()

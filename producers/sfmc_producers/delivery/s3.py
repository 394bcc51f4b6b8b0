"""The target `s3`: multipart uploads, of which no file is seen before it is complete."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import ClientError
from pydantic import Field

from sfmc_import.settings.values import Seconds, Url
from sfmc_producers.checked_files import OpenContent
from sfmc_producers.content_errors import ContentError
from sfmc_producers.delivery.reading import Reading
from sfmc_producers.delivery.s3_uploads import Upload, base64_of, code_of, is_same, part_of, s3_errors
from sfmc_producers.delivery.targets import (
    FileRefusedError,
    TargetOptions,
    TargetRefusedError,
    TargetUnavailableError,
)
from sfmc_producers.sources.aws import config
from sfmc_producers.sources.deadlines import Caller

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PART = 8 * 1024 * 1024
"""Bytes of a part, and of memory for each connection; S3 takes no part under 5 MiB but the last."""

MOST_PARTS = 10_000
MARK = "sfmc-upload"
"""The metadata of an object that say which upload it came from."""

T = TypeVar("T")


class S3Options(TargetOptions):
    """The lines of a [[target]] of kind `s3`."""

    kind: Literal["s3"] = "s3"
    bucket: str = Field(pattern=r"^[A-Za-z0-9._-]{3,255}$", description="the bucket")
    prefix: str = Field("", max_length=512, description="how the keys of the files begin, such as import/")
    region: str | None = Field(None, pattern=r"^[a-z0-9-]{1,40}$", description="its region; without it boto3 finds it")
    endpoint_url: Url | None = Field(None, description="the address of what looks like AWS")
    timeout: Seconds = Field(60.0, ge=0.1, le=60, description="seconds that one call may take, with 8 MiB in its body")
    lock_out: Seconds = Field(300.0, description="seconds without a try after a refused login")

    @property
    def place(self) -> str:
        """What tells the bucket and prefix from all others."""
        at = f" at {str(self.endpoint_url).rstrip('/')}" if self.endpoint_url else ""
        return f"s3://{self.bucket}/{self.prefix}{at}"


class S3Session:
    """Uploads by one thread, over a client that is made on first use; each call and each read has a deadline."""

    def __init__(self, options: S3Options, part: int = PART) -> None:
        self._options, self._part_bytes = options, part
        self._client: S3Client | None = None
        self._caller = Caller("sfmc-s3")
        self._upload: Upload | None = None

    @property
    def is_connected(self) -> bool:
        """Whether the client is made; the first call finds out whether the login is right."""
        return self._client is not None

    def connect(self) -> None:
        """Make the client; the login comes from boto3's own chain."""
        if self._client is None:
            self._client = self._call(self._open)

    def upload(self, temporary: str, name: str, open_content: OpenContent, tick: Callable[[int], None]) -> int:
        """Send the parts that are not there yet; a part that is there with the same checksum is not sent again."""
        with self._opened(open_content) as read:
            upload = self._upload = self._resume(self._key(name)) or self._begin(self._key(name), temporary)
            try:
                while part := self._read(read, lambda: tick(upload.size)):
                    self._send(upload, part)
                    tick(upload.size)
            except FileRefusedError:
                # What S3 refuses once it would refuse again: the next attempt begins anew.
                with suppress(TargetUnavailableError, TargetRefusedError, FileRefusedError):
                    self._abort(upload.key, upload.upload_id)
                raise
        return upload.size

    def rename(self, temporary: str, name: str, size: int) -> None:
        """Make the parts an object, in the place of any other of this name; compares its size and its checksum."""
        upload, client = self._upload, self._s3()
        assert upload is not None, "upload comes first"
        here: Any = {"Bucket": self._options.bucket, "Key": upload.key}
        if not upload.tags:
            self._abort(upload.key, upload.upload_id)
            self._call(lambda: client.put_object(**here, Body=b"", Metadata={MARK: temporary}))
            return
        try:
            wanted = upload.manifest()
            self._call(
                lambda: client.complete_multipart_upload(**here, UploadId=upload.upload_id, MultipartUpload=wanted)
            )
        except (FileRefusedError, TargetUnavailableError):
            # The answer may have been lost: then there is no such upload any more, but the object.
            if not self.is_renamed(temporary, name, size):
                raise
        self._compare(self._call(lambda: client.head_object(**here, ChecksumMode="ENABLED")), upload, size)

    def is_renamed(self, temporary: str, name: str, size: int) -> bool:
        """Tell whether the object came from this upload."""
        client, key = self._s3(), self._key(name)

        def look() -> Any:
            try:
                return client.head_object(Bucket=self._options.bucket, Key=key)
            except ClientError as error:
                if code_of(error) in {"404", "NoSuchKey", "NotFound"}:
                    return None
                raise

        found = self._call(look)
        return bool(found and found["ContentLength"] == size and found["Metadata"].get(MARK) == temporary)

    def prepare(self, temporary: str) -> None:
        """Leave what is there: each part of it is compared by its checksum."""

    def is_sent(self, temporary: str, size: int) -> bool:  # noqa: ARG002 - parts are compared one by one
        """Say no: `upload` sends what is missing, which may be nothing."""
        return False

    def tells_apart(self, name: str, size: int) -> bool:  # noqa: ARG002 - each object has its mark
        """Say yes: an object says from which upload it came."""
        return True

    def discard(self, temporary: str, name: str) -> None:  # noqa: ARG002 - uploads are found by the key
        """End all uploads under this key: what is sent of them would be paid for."""
        for upload_id in self._uploads(self._key(name)):
            self._abort(self._key(name), upload_id)

    def close(self) -> None:
        """Close the connections."""
        self._caller.stop()
        if self._client is not None:
            self._client.close()

    def _open(self) -> "S3Client":
        made = config(1, checks=True).merge(Config(read_timeout=self._options.timeout))
        session = Session(region_name=self._options.region)
        return session.client("s3", endpoint_url=self._options.endpoint_url, config=made)

    def _s3(self) -> "S3Client":
        assert self._client is not None, "connect comes first"
        return self._client

    def _key(self, name: str) -> str:
        return f"{self._options.prefix}{name}"

    def _call(self, action: Callable[[], T]) -> T:
        with s3_errors(self._options.place):
            return self._caller.within(self._options.timeout, action)

    @contextmanager
    def _opened(self, open_content: OpenContent) -> Iterator[Callable[[int], bytes]]:
        """Open the content beside the calls to S3: one that hangs keeps no other file from them."""
        reading = Reading(self._options.timeout)
        try:
            content = reading.do(open_content)
            try:
                yield lambda most: reading.do(partial(content.read, most))
            finally:
                with suppress(ContentError, OSError):
                    reading.do(content.close)
        finally:
            reading.end()

    def _read(self, read: Callable[[int], bytes], tick: Callable[[], None]) -> bytes:
        """Read a whole part, or what is left."""
        part = bytearray()
        while len(part) < self._part_bytes and (found := read(self._part_bytes - len(part))):
            part += found
            tick()
        return bytes(part)

    def _uploads(self, key: str) -> list[str]:
        """Find the uploads under a key, the newest first."""
        pages = self._s3().get_paginator("list_multipart_uploads")

        def ask() -> list[Any]:
            found = pages.paginate(Bucket=self._options.bucket, Prefix=key)
            return [each for page in found for each in page.get("Uploads", ()) if each["Key"] == key]

        newest = sorted(self._call(ask), key=lambda each: each["Initiated"], reverse=True)
        return [each["UploadId"] for each in newest]

    def _resume(self, key: str) -> Upload | None:
        """Take up what an earlier attempt has left; which of its parts are right is seen when they are compared."""
        uploads = self._uploads(key)
        for each in uploads[1:]:
            self._abort(key, each)
        if not uploads:
            return None
        found = uploads[0]
        pages = self._s3().get_paginator("list_parts")

        def ask() -> list[Any]:
            answer = pages.paginate(Bucket=self._options.bucket, Key=key, UploadId=found)
            return [each for page in answer for each in page.get("Parts", ())]

        there = {each["PartNumber"]: part_of(each, each["Size"]) for each in self._call(ask)}
        return Upload(key, found, there)

    def _begin(self, key: str, temporary: str) -> Upload:
        client = self._s3()
        made = self._call(
            lambda: client.create_multipart_upload(
                Bucket=self._options.bucket, Key=key, ChecksumAlgorithm="SHA256", Metadata={MARK: temporary}
            )
        )
        return Upload(key, made["UploadId"])

    def _send(self, upload: Upload, part: bytes) -> None:
        number, client = len(upload.tags) + 1, self._s3()
        if number > MOST_PARTS:
            raise FileRefusedError(f"the file has more than {MOST_PARTS * self._part_bytes} bytes")
        sha256, md5 = hashlib.sha256(part).digest(), hashlib.md5(part, usedforsecurity=False).digest()
        there = upload.there.get(number)
        if there is None or not is_same(there, len(part), sha256, md5):
            place: Any = {"Bucket": self._options.bucket, "Key": upload.key, "UploadId": upload.upload_id}
            sent: Any = {"PartNumber": number, "Body": part, "ChecksumSHA256": base64_of(sha256)}
            there = part_of(self._call(lambda: client.upload_part(**place, **sent)), len(part))
        upload.tags.append(there.tag)
        upload.sha256 += sha256
        upload.md5 += md5
        upload.size += len(part)

    def _abort(self, key: str, upload_id: str) -> None:
        client = self._s3()

        def abort() -> None:
            try:
                client.abort_multipart_upload(Bucket=self._options.bucket, Key=key, UploadId=upload_id)
            except ClientError as error:
                if code_of(error) != "NoSuchUpload":
                    raise

        self._call(abort)

    def _compare(self, found: Any, upload: Upload, size: int) -> None:
        place, length = self._options.place, found["ContentLength"]
        if length != size:
            raise FileRefusedError(f"{place} has {length} bytes after {size} were sent")
        theirs, tag = found.get("ChecksumSHA256", "").partition("-")[0], found["ETag"].strip('"')
        # The tag is no checksum where a key of KMS encrypts.
        is_tag_known = not theirs and "-" in tag and "kms" not in found.get("ServerSideEncryption", "")
        if (theirs and theirs != upload.checksum()) or (is_tag_known and tag != upload.tag()):
            raise FileRefusedError(f"{place} has another checksum than the file that was sent")

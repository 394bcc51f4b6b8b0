"""What is known of a multipart upload to S3: its parts, their checksums, and what an error about it means."""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from sfmc_producers.delivery.targets import FileRefusedError, TargetRefusedError, TargetUnavailableError
from sfmc_producers.sources.aws import MISSING, NO_LOGIN, REFUSED
from sfmc_producers.sources.deadlines import DeadlineError

THROTTLED = frozenset({"RequestLimitExceeded", "RequestTimeout", "SlowDown", "Throttling", "ThrottlingException"})


@dataclass(frozen=True, slots=True)
class Part:
    """A part that is there: its tag, its checksum if S3 keeps one, and its size."""

    tag: str
    checksum: str | None
    size: int


@dataclass(slots=True)
class Upload:
    """A multipart upload under one key, and what was sent of it: the parts, and the digests of each."""

    key: str
    upload_id: str
    there: dict[int, Part] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    sha256: bytes = b""
    md5: bytes = b""
    size: int = 0

    def checksum(self) -> str:
        """Give the checksum of the whole object as S3 makes it, without their number: that of those of its parts."""
        return base64_of(hashlib.sha256(self.sha256).digest())

    def tag(self) -> str:
        """Give its tag, where S3 makes it of the MD5 of the parts."""
        return f"{hashlib.md5(self.md5, usedforsecurity=False).hexdigest()}-{len(self.tags)}"

    def manifest(self) -> Any:
        """Say which parts make the object, each with its checksum, which S3 then demands."""
        sums = [base64_of(self.sha256[at : at + 32]) for at in range(0, len(self.sha256), 32)]
        both = enumerate(zip(self.tags, sums, strict=True), start=1)
        return {"Parts": [{"PartNumber": number, "ETag": tag, "ChecksumSHA256": sha} for number, (tag, sha) in both]}


def part_of(answer: Any, size: int) -> Part:
    """Read what S3 says of a part."""
    return Part(answer["ETag"], answer.get("ChecksumSHA256"), size)


def is_same(there: Part, size: int, sha256: bytes, md5: bytes) -> bool:
    """Tell whether the part that is there has this content."""
    same = there.checksum == base64_of(sha256) if there.checksum else there.tag.strip('"') == md5.hex()
    return there.size == size and same


def base64_of(digest: bytes) -> str:
    """Give a digest as S3 writes it."""
    return base64.b64encode(digest).decode()


def code_of(error: ClientError) -> str:
    """Give the code of an answer of S3."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def s3_errors(place: str) -> Iterator[None]:
    """Say of trouble with S3 whether a person must act, only this file is refused, or it may pass by itself."""
    try:
        yield
    except ClientError as error:
        text, code = f"{place}: {error}", code_of(error)
        if code in REFUSED | MISSING:
            fix = "check the login of AWS, its rights, the name of the bucket and the region"
            raise TargetRefusedError(f"{text}; {fix}") from error
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        is_refused = 400 <= status < 500 and status != 429 and code not in THROTTLED
        raise (FileRefusedError if is_refused else TargetUnavailableError)(text) from error
    except NO_LOGIN as error:
        raise TargetRefusedError(f"{place}: {error}; give the login of AWS") from error
    except (BotoCoreError, DeadlineError) as error:
        raise TargetUnavailableError(f"{place}: {error}") from error

"""Clients of AWS and what looks like it: where they lead, their timeouts, and what their errors mean."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
)

from sfmc_producers.sources.deadlines import DeadlineError
from sfmc_producers.sources.receiving import SourceRefusedError, SourceUnavailableError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

CONNECT_SECONDS, READ_SECONDS = 5, 30
"""A poll is answered after 20 seconds when there is nothing."""

REFUSED = frozenset({
    "AccessDenied", "AccessDeniedException", "AuthFailure", "ExpiredToken", "ExpiredTokenException",
    "IncompleteSignature", "InvalidAccessKeyId", "InvalidClientTokenId", "InvalidSecurity", "InvalidToken",
    "MissingAuthenticationToken", "MissingAuthenticationTokenException", "NotAuthorized", "OptInRequired",
    "SignatureDoesNotMatch", "InvalidSignatureException", "UnrecognizedClientException",
})  # fmt: skip
"""What no repetition helps against; throttling comes with status 403 too, under other names."""

MISSING = frozenset({
    "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "InvalidAddress", "NoSuchBucket",
})  # fmt: skip

NO_LOGIN = (NoCredentialsError, NoRegionError, PartialCredentialsError, ProfileNotFound)
LOGIN_FIX = "check the login of AWS (AWS_ACCESS_KEY_ID, AWS_PROFILE, the role of the host), its rights and the region"


def config(connections: int, *, checks: bool) -> Config:
    """Give timeouts and retries: what still fails then is tried again by the source, after growing pauses.

    `checks` lets the library check what we send: for SQS that is a sixth of its CPU time, and all of it is ours.
    """
    return Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": 2},
        max_pool_connections=connections,
        parameter_validation=checks,
    )


def sqs_client(region: str | None, endpoint_url: str | None, connections: int) -> "SQSClient":
    """Open a client of SQS; the login comes from boto3's own chain."""
    with aws_errors("SQS"):
        return Session(region_name=region).client(
            "sqs", endpoint_url=endpoint_url, config=config(connections, checks=False)
        )


def s3_client(region: str | None, endpoint_url: str | None, keys: tuple[str, str] | None = None) -> "S3Client":
    """Open a client of S3; without `keys`, an access key and its secret, the login comes from boto3's own chain."""
    access, secret = keys or (None, None)
    with aws_errors("S3"):
        return Session(access, secret, region_name=region).client(
            "s3", endpoint_url=endpoint_url, config=config(10, checks=True)
        )


@contextmanager
def aws_errors(what: str) -> Iterator[None]:
    """Turn trouble into SourceRefusedError, where a person must act, or SourceUnavailableError; `what` names whom."""
    try:
        yield
    except ClientError as error:
        raise of_client_error(what, error) from error
    except NO_LOGIN as error:
        raise SourceRefusedError(f"{what}: {error}", LOGIN_FIX) from error
    except (BotoCoreError, DeadlineError) as error:
        raise SourceUnavailableError(f"{what}: {error}") from error


def of_client_error(what: str, error: ClientError) -> SourceRefusedError | SourceUnavailableError:
    """Tell by the code of an answer whether a person must act."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    text = f"{what}: {error}"
    if code in MISSING:
        return SourceRefusedError(text, "check its name, the account and the region")
    return SourceRefusedError(text, LOGIN_FIX) if code in REFUSED else SourceUnavailableError(text)

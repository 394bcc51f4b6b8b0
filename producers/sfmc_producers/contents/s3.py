"""The content of events that name objects of S3, or of what looks like it."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from botocore.exceptions import ClientError

from sfmc_producers.content_errors import ContentUnavailableError
from sfmc_producers.contents import places
from sfmc_producers.contents.doubts import Doubts
from sfmc_producers.contents.tables import GcsContent, S3Content
from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.sources.aws import aws_errors, s3_client
from sfmc_producers.sources.s3_objects import list_arrivals, open_content

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

NO_LISTING = frozenset({"AccessDenied", "AccessDeniedException", "403"})
"""What is said to a login that may read objects and not list them: that is enough to deliver."""


class BucketContents:
    """The objects of one bucket; `listing` and `opening` say how those of this store are listed and opened."""

    def __init__(
        self,
        options: S3Content | GcsContent,
        open_client: Callable[[], "S3Client"],
        *,
        listing: Callable[["S3Client", str, str], Iterator[Arrival]] = list_arrivals,
        opening: Callable[["S3Client", Arrival], BinaryIO] = open_content,
    ) -> None:
        self._options, self._open_client, self._listing, self._opening = options, open_client, listing, opening
        self._client: Any = None
        self._doubts = Doubts(self._ask)

    def with_content(self, arrival: Arrival) -> Arrival:
        """Give an arrival whose content can be opened."""
        return places.with_content(arrival, self._options.root, self._open)

    def require(self) -> None:
        """Raise SourceRefusedError when the login or the bucket is wrong."""
        self._doubts.require()

    def list_arrivals(self) -> Iterator[Arrival]:
        """Yield the objects below the prefix, page by page."""
        return self._listing(self._s3(), self._options.bucket, self._options.prefix)

    def close(self) -> None:
        """Close the connections that no one uses."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _open(self, arrival: Arrival) -> BinaryIO:
        try:
            return self._opening(self._s3(), arrival)
        except ContentUnavailableError:
            self._doubts.raise_doubt()
            raise

    def _s3(self) -> "S3Client":
        client = self._client = self._client or self._open_client()
        return client

    def _ask(self) -> None:
        """List one object: a HEAD, with which reading begins, does not say what is wrong with a login."""
        options = self._options
        with aws_errors(f"bucket {options.bucket}"):
            try:
                self._s3().list_objects_v2(Bucket=options.bucket, Prefix=options.prefix, MaxKeys=1)
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") not in NO_LISTING:
                    raise


def open_s3(options: S3Content, keys: tuple[str, str] | None) -> BucketContents:
    """Open the contents of a bucket; the login comes from boto3's own chain unless keys are given."""
    return BucketContents(options, lambda: s3_client(options.region, options.endpoint_url, keys))

"""The content of events that name objects of Google Cloud Storage: its XML API, which boto3 can speak."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO

from boto3.session import Session
from botocore.config import Config
from lxml import etree

from sfmc_producers.content_errors import ContentUnavailableError
from sfmc_producers.contents.s3 import BucketContents
from sfmc_producers.contents.tables import GcsContent
from sfmc_producers.delivery.ranged import RangedContent, as_file
from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.sources.aws import aws_errors, config
from sfmc_producers.sources.fields import NotReadableError, arrival
from sfmc_producers.sources.s3_objects import S3Ranges

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

GENERATIONS = "Generations"
"""What our reader of a listing adds to the answer: boto3 does not know the element."""

GENERATION_HEADER = "x-goog-generation"


class GcsRanges(S3Ranges):
    """The object of an arrival in one generation: no other upload under its name has that number."""

    def _note(self, head: Any) -> None:
        said = head["ResponseMetadata"]["HTTPHeaders"].get(GENERATION_HEADER)
        self._version = self._version or said
        if not self._version:
            # Parts of two uploads could be taken for one file.
            raise ContentUnavailableError(f"bucket {self._bucket} does not say of which generation an object is")

    def _same(self) -> Any:
        # Sent as `generation`, the name that Google gives it.
        return {"VersionId": self._version} if self._version else {}


def gcs_client(endpoint_url: str, keys: tuple[str, str]) -> "S3Client":
    """Open a client of the XML API; `keys` are an HMAC key and its secret."""
    only_where_needed = Config(
        request_checksum_calculation="when_required", response_checksum_validation="when_required",
        s3={"addressing_style": "path"},
    )  # fmt: skip
    access, secret = keys
    with aws_errors("Google Cloud Storage"):
        client = Session(access, secret, region_name="auto").client(
            "s3", endpoint_url=endpoint_url, config=config(10, checks=True).merge(only_where_needed)
        )
    events: Any = client.meta.events
    events.register("before-sign.s3.*", _name_generation)
    events.register("before-send.s3.*", _take_as_stored)
    events.register("before-parse.s3.ListObjectsV2", _read_generations)
    return client


def _name_generation(request: Any, **_: object) -> None:
    """Ask for a generation as Google does; it stands in what is signed."""
    path, mark, query = request.url.partition("?")
    query = "&".join(each.replace("versionId=", "generation=", 1) for each in query.split("&"))
    request.url = f"{path}{mark}{query}"


def _take_as_stored(request: Any, **_: object) -> None:
    """Take packed objects as they are stored: unpacked on the way, they have no ranges and another size.

    The header is set after signing: servers in between change it.
    """
    request.headers["Accept-Encoding"] = "gzip"


def _read_generations(response_dict: Any, customized_response_dict: Any, **_: object) -> None:
    """Read the generation of each object of a listing, in order."""
    if response_dict["status_code"] != 200:
        return
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, recover=True)
    root = etree.fromstring(response_dict["body"], parser)
    found = () if root is None else root.iterfind("{*}Contents")
    customized_response_dict[GENERATIONS] = [each.findtext("{*}Generation") for each in found]


def list_generations(client: "S3Client", bucket: str, prefix: str) -> Iterator[Arrival]:
    """Yield the objects below a prefix, page by page, with the identity that notifications give them."""
    pages = iter(client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix))
    while True:
        with aws_errors(f"bucket {bucket}"):
            page: Any = next(pages, None)
        if page is None:
            return
        for item, generation in zip(page.get("Contents", ()), page[GENERATIONS], strict=True):
            found = _read_item(bucket, item, generation)
            if found is not None:
                yield found


def _read_item(bucket: str, item: Any, generation: str | None) -> Arrival | None:
    """Read one line of a listing as notifications tell it; None for a folder, and for what no request can carry."""
    if not generation:
        return None
    try:
        found = arrival(f"gs://{bucket}", item["Key"], size=item["Size"], version=generation)
    except NotReadableError:
        return None
    changed_at = item["LastModified"].timestamp()
    return replace(found, changed_at=changed_at) if isinstance(found, Arrival) else None


def open_object(client: "S3Client", found: Arrival) -> BinaryIO:
    """Open the content of an arrival; it can be resumed where the event has the generation."""
    return as_file(RangedContent(GcsRanges(client, found), is_pinned=found.file.version is not None))


def open_gcs(options: GcsContent, keys: tuple[str, str]) -> BucketContents:
    """Open the contents of a bucket."""
    return BucketContents(
        options, lambda: gcs_client(options.endpoint_url, keys), listing=list_generations, opening=open_object
    )

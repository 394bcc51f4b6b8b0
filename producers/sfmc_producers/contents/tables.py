"""The lines of [source.content]: where the files of a source lie that only hears of them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FilePath, ValidationError

from sfmc_import.settings.problems import field_problems
from sfmc_import.settings.values import Seconds, Url
from sfmc_producers.sources.sftp.options import Fingerprint, Folder, Host, HostKey, SftpOptions

GOOGLE = "https://storage.googleapis.com"
BUCKET = r"^[A-Za-z0-9._-]{3,255}$"


class ContentTable(BaseModel):
    """What every [source.content] has."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class S3Content(ContentTable):
    """A bucket of Amazon S3, MinIO, RustFS or Ceph."""

    kind: Literal["s3"] = Field(description="s3")
    bucket: str = Field(pattern=BUCKET, description="the bucket; files of another are not read")
    prefix: str = Field("", max_length=1024, description="how the keys begin that `scan` lists, such as in/")
    region: str | None = Field(None, pattern=r"^[a-z0-9-]{1,40}$", description="its region; without it boto3 finds it")
    endpoint_url: Url | None = Field(None, description="the address of what looks like S3")

    @property
    def root(self) -> str:
        """How the locations of its files begin."""
        return f"s3://{self.bucket}"


class GcsContent(ContentTable):
    """A bucket of Google Cloud Storage, read by its XML API with an HMAC key."""

    kind: Literal["gcs"] = Field(description="gcs")
    bucket: str = Field(pattern=BUCKET, description="the bucket; files of another are not read")
    prefix: str = Field("", max_length=1024, description="how the names begin that `scan` lists, such as in/")
    endpoint_url: Url = Field(GOOGLE, description="the address of the XML API")

    @property
    def root(self) -> str:
        """How the locations of its files begin."""
        return f"gs://{self.bucket}"


class AzureContent(ContentTable):
    """A container of Azure's blob storage; the account is that of the connection string."""

    kind: Literal["azure"] = Field(description="azure")
    account: str = Field(pattern=r"^[a-z0-9]{3,24}$", description="the name of the storage account")
    container: str = Field(pattern=r"^[a-z0-9$-]{3,63}$", description="the container; files of another are not read")
    prefix: str = Field("", max_length=1024, description="how the names begin that `scan` lists, such as in/")
    hierarchical: bool = Field(False, description="true for an account with a hierarchical namespace")

    @property
    def root(self) -> str:
        """How the locations of its files begin."""
        return f"azure://{self.account}/{self.container}"


class SftpContent(ContentTable):
    """A folder of an SFTP server, such as SFTPGo."""

    kind: Literal["sftp"] = Field(description="sftp")
    host: Host = Field(description="the name of the server")
    port: int = Field(22, ge=1, le=65535, description="its port")
    user: str = Field(min_length=1, max_length=256, description="the user who logs in")
    dir: Folder = Field("/", description="the folder; files outside of it are not read")
    host_keys: tuple[HostKey, ...] = Field(
        (), max_length=32, description="the fingerprints or public keys of the server that are accepted, any of them"
    )
    known_hosts: FilePath | None = Field(None, description="a file in the form of OpenSSH, instead of host_keys")
    agent: bool = Field(False, description="true: log in with a key of the agent at SSH_AUTH_SOCK")
    agent_key: Fingerprint | None = Field(None, description="which key of the agent: its SHA256 fingerprint")
    connections: int = Field(2, ge=1, le=10, description="the most connections at a time, 1 to 10")
    timeout: Seconds = Field(30.0, description="the time for one answer of the server")
    keepalive: Seconds = Field(60.0, description="the time between two signs of life on a connection")

    @property
    def root(self) -> str:
        """How the locations of its files begin: as those of a source of kind `sftp`."""
        return self.as_source().location

    @property
    def server(self) -> str:
        """The server alone, before which events write no folder."""
        return self.as_source().model_copy(update={"dir": "/"}).location

    def as_source(self) -> SftpOptions:
        """Give the lines that a source of kind `sftp` would have."""
        return SftpOptions.model_validate(self.model_dump(exclude={"kind"}))


Content = S3Content | GcsContent | AzureContent | SftpContent
KINDS: Mapping[str, type[Content]] = MappingProxyType(
    {"s3": S3Content, "gcs": GcsContent, "azure": AzureContent, "sftp": SftpContent}
)


def read_content(value: Any) -> Any:
    """Read the lines of [source.content] by its kind; raises ValueError with all that is wrong."""
    if not isinstance(value, Mapping):
        return value
    model = KINDS.get(str(value.get("kind")))
    if model is None:
        raise ValueError(f"kind: use one of {', '.join(KINDS)}")
    try:
        found = model.model_validate(value)
        if isinstance(found, SftpContent):
            found.as_source()
    except ValidationError as error:
        raise ValueError("; ".join(field_problems(error, model, value, str).values())) from None
    return found


def not_listed(kind: str, content: Content | None) -> str | None:
    """Say why a source that only hears of files cannot be listed; None where its files can be."""
    if content is None:
        return f"a source of kind {kind} cannot be listed without [source.content]"
    if isinstance(content, SftpContent):
        return "content of kind sftp cannot be listed: its files would be others than those of the events"
    return None


ReadContent = Annotated[Content, BeforeValidator(read_content)]
DESCRIPTION = "[source.content] with kind s3, gcs, azure or sftp: where the files lie, so that they can be delivered"

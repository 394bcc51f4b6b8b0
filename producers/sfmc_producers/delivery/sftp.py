"""The target `sftp`: one connection of one thread, with an event loop that runs while a call is made."""

import asyncio
import os
import posixpath
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

import asyncssh
from pydantic import Field, SecretStr

from sfmc_import.settings.values import Seconds
from sfmc_producers.checked_files import OpenContent
from sfmc_producers.delivery.sftp_upload import ContentFailedError, OtherBytesError, Upload, size_of
from sfmc_producers.delivery.targets import (
    FileRefusedError,
    LoginRefusedError,
    TargetOptions,
    TargetRefusedError,
    TargetUnavailableError,
)
from sfmc_producers.ssh_tasks import say_no_broken_tasks

ALGORITHMS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
"""AES-GCM first: it takes a third less of our CPU than ChaCha20, which is asyncssh's first."""

LOGIN_SECONDS = 60.0
CLOSE_SECONDS = 2.0
T = TypeVar("T")


class SftpOptions(TargetOptions):
    """The lines of a [[target]] of kind `sftp`."""

    kind: Literal["sftp"] = "sftp"
    host: str = Field(min_length=1, max_length=255, description="its name, such as mcabc.ftp.marketingcloudops.com")
    port: int = Field(22, ge=1, le=65535, description="its port")
    user: str = Field(min_length=1, max_length=255, description="the user of the login")
    folder: str = Field("Import", min_length=1, max_length=1024, description="the folder for the files")
    known_hosts: Path | None = Field(None, description="a file of known host keys; without it ~/.ssh/known_hosts")
    host_keys: tuple[str, ...] = Field((), description="fingerprints of its host keys, such as SHA256:…; several count")
    key_file: Path | None = Field(None, description="the private key of the login, instead of a password")
    agent: bool = Field(False, description="true: the SSH agent has the key of the login")
    timeout: Seconds = Field(30.0, le=30, description="seconds that the server may be silent")

    @property
    def place(self) -> str:
        """What tells the folder from all others: one from the root and one from that of the login count as the same."""
        return f"sftp://{self.account}/{posixpath.normpath(f'/{self.folder}').lstrip('/')}"

    @property
    def address(self) -> str:
        """The place for people, without the user, which is masked in addresses."""
        return f"sftp://{self.host}:{self.port}/{self.folder.lstrip('/')}"

    @property
    def account(self) -> str:
        """What tells the login from all others."""
        return f"{self.user}@{self.host.casefold().rstrip('.')}:{self.port}"


class _Client(asyncssh.SSHClient):
    """Accepts pinned host keys, and tries one secret once: each further try counts as a failed login."""

    def __init__(self, pinned: tuple[str, ...], password: str | None) -> None:
        self._pinned, self._password = pinned, password
        self.offered = ""

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:  # noqa: ARG002 - asyncssh's
        """Say whether a host key is pinned."""
        self.offered = key.get_fingerprint()
        return self.offered in self._pinned

    def password_auth_requested(self) -> str | None:
        """Give the password once."""
        password, self._password = self._password, None
        return password

    def kbdint_auth_requested(self) -> str | None:
        """Answer prompts only while the password was not tried."""
        return None if self._password is None else ""

    def kbdint_challenge_received(self, name: str, instructions: str, lang: str, prompts: Any) -> Any:  # noqa: ARG002
        """Answer each prompt with the password, once."""
        password, self._password = self._password, None
        return None if password is None else [password for _ in prompts]


async def _end(connection: asyncssh.SSHClientConnection) -> None:
    connection.close()
    with suppress(TimeoutError, OSError, asyncssh.Error):
        await asyncio.wait_for(connection.wait_closed(), CLOSE_SECONDS)
    connection.abort()
    await asyncio.sleep(0)


class SftpSession:
    """Uploads over one connection, which opens on first use."""

    def __init__(self, options: SftpOptions, password: SecretStr | None) -> None:
        self._options, self._password = options, password
        self._loop = asyncio.new_event_loop()
        say_no_broken_tasks(self._loop)
        self._connection: asyncssh.SSHClientConnection | None = None
        self._sftp: asyncssh.SFTPClient | None = None

    @property
    def is_connected(self) -> bool:
        """Whether it has logged in."""
        return self._sftp is not None

    def connect(self) -> None:
        """Log in; raises TargetRefusedError when the login is refused."""
        if self._sftp is None:
            self._run(self._connect(), LOGIN_SECONDS)

    def upload(self, temporary: str, name: str, open_content: OpenContent, tick: Callable[[int], None]) -> int:  # noqa: ARG002 - the name comes last
        """Write the content under its temporary name, from where an earlier attempt was cut; gives its size."""
        return self._run(Upload(self._client(), self._path(temporary), self._options.timeout).run(open_content, tick))

    def rename(self, temporary: str, name: str, size: int) -> None:
        """Put the whole file in the place of any other of this name."""
        self._run(self._rename(self._path(temporary), self._path(name), size), self._options.timeout)

    def size(self, name: str) -> int | None:
        """Give the size of a file; None without one."""
        return self._run(self._size(self._path(name)), self._options.timeout)

    def is_renamed(self, temporary: str, name: str, size: int) -> bool:
        """Tell whether it was renamed: only the holder of the name removes the temporary file, and in no other way."""
        return self.size(temporary) is None and self.size(name) == size

    def prepare(self, temporary: str) -> None:
        """Remove what another program left there: only a small part of it would be compared."""
        self._run(self._remove(self._path(temporary)), self._options.timeout)

    def is_sent(self, temporary: str, size: int) -> bool:
        """Tell whether the temporary file has its size; the record says that it was whole then."""
        return self.size(temporary) == size

    def tells_apart(self, name: str, size: int) -> bool:
        """Tell whether the file that has the name now has another size: nothing else tells it from the new one."""
        return self.size(name) != size

    def discard(self, temporary: str, name: str) -> None:  # noqa: ARG002 - as above
        """Remove what an upload left, if it is there."""
        self._run(self._remove(self._path(temporary)), self._options.timeout)

    def close(self) -> None:
        """Say goodbye and close the connection; cut it when the server does not answer."""
        if self._connection is not None:
            self._loop.run_until_complete(_end(self._connection))
        self._connection = self._sftp = None
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T], within: float | None = None) -> T:
        try:
            return self._loop.run_until_complete(asyncio.wait_for(work, within))
        except ContentFailedError as failed:
            raise failed.error from None
        except OtherBytesError as error:
            raise FileRefusedError(f"{self._options.address} {error}") from error
        except TimeoutError as error:
            raise TargetUnavailableError(f"{self._options.address} did not answer in time") from error
        except (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection, asyncssh.DisconnectError) as error:
            raise TargetUnavailableError(f"{self._options.address}: {error.reason or type(error).__name__}") from error
        except asyncssh.SFTPError as error:
            raise FileRefusedError(
                f"{self._options.address} refuses: {error.reason or type(error).__name__}"
            ) from error
        except (asyncssh.Error, OSError) as error:
            raise TargetUnavailableError(f"{self._options.address}: {error}") from error

    async def _connect(self) -> None:
        options = self._options
        password = self._password.get_secret_value() if self._password else None
        client = _Client(options.host_keys, password)
        known: Any = str(options.known_hosts) if options.known_hosts else ()
        try:
            self._connection = await asyncssh.connect(
                options.host, options.port, username=options.user, config=None, encryption_algs=ALGORITHMS,
                client_factory=lambda: client,
                known_hosts=([], [], []) if options.host_keys else known,
                client_keys=[str(options.key_file)] if options.key_file else (() if options.agent else None),
                agent_path=os.environ.get("SSH_AUTH_SOCK", "") if options.agent else None,
            )  # fmt: skip
        except asyncssh.HostKeyNotVerifiable as error:
            raise TargetRefusedError(
                f"{options.address} has the unknown host key {client.offered or error.reason}; if its owner announced"
                " it, add it to host_keys or known_hosts"
            ) from error
        except asyncssh.PermissionDenied as error:
            raise LoginRefusedError(f"{options.address} refuses the login of {options.user}") from error
        self._sftp = await self._connection.start_sftp_client()

    def _client(self) -> asyncssh.SFTPClient:
        assert self._sftp is not None, "connect comes first"
        return self._sftp

    def _path(self, name: str) -> str:
        return f"{self._options.folder.rstrip('/')}/{name}"

    async def _size(self, path: str) -> int | None:
        return await size_of(self._client(), path)

    async def _remove(self, path: str) -> None:
        if await self._size(path) is not None:
            await self._client().remove(path)

    async def _rename(self, temporary: str, path: str, size: int) -> None:
        try:
            await self._client().posix_rename(temporary, path)
        except (asyncssh.SFTPOpUnsupported, asyncssh.SFTPFailure, asyncssh.SFTPFileAlreadyExists):
            # A plain rename takes no name that is taken; what has it is no longer needed.
            await self._remove(path)
            await self._client().rename(temporary, path)
        if (found := await self._size(path)) != size:
            raise FileRefusedError(f"{self._options.address} has {found} bytes of {size} after the rename")

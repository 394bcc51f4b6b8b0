"""One connection to an SFTP server: host key checked, one login, and every failure in words."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import asyncssh
import structlog
from asyncssh.misc import MaybeAwait

from sfmc_import.display import one_line
from sfmc_import.redaction import hidden
from sfmc_producers.sources.receiving import SourceRefusedError, SourceUnavailableError
from sfmc_producers.sources.sftp.logins import Login, chosen_of_agent
from sfmc_producers.sources.sftp.options import SftpOptions
from sfmc_producers.sources.sftp.trust import Trust, shown_key

MAX_TEXT = 300
CUTS = 2
"""So many connections in a row that end during the login count as refused: some servers say nothing more."""


class LoginCutError(SourceUnavailableError):
    """The connection ended after the login was sent and before the server answered it."""


@dataclass(slots=True)
class Connection:
    """An open connection with one SFTP session; `users` counts who works with it now."""

    ssh: asyncssh.SSHClientConnection
    sftp: asyncssh.SFTPClient
    users: int = 0

    @property
    def is_open(self) -> bool:
        """Whether it can still be used."""
        return not self.ssh.is_closed()


class _Client(asyncssh.SSHClient):
    """Checks the host key and gives the login once; asked again, it has none."""

    def __init__(self, trust: Trust, password: str | None, key: asyncssh.SSHKeyPair | asyncssh.SSHKey | None) -> None:
        self._trust, self._password, self._key = trust, password, key
        self.offered: str | None = None
        self.is_login_sent = self.is_login_accepted = False

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Look at a key that asyncssh itself does not accept."""
        del host, addr, port
        self.offered = shown_key(key)
        return self._trust.accepts(key)

    def password_auth_requested(self) -> MaybeAwait[str | None]:
        """Give the password once."""
        password, self._password = self._password, None
        self.is_login_sent |= password is not None
        return password

    def public_key_auth_requested(self) -> MaybeAwait[list[asyncssh.SSHKeyPair | asyncssh.SSHKey] | None]:
        """Give the key once."""
        key, self._key = self._key, None
        self.is_login_sent |= key is not None
        return None if key is None else [key]

    def auth_completed(self) -> None:
        """Note that the server took the login."""
        self.is_login_accepted = True


class Connector:
    """Opens connections to one server with one login; `address` is how texts name the server."""

    def __init__(self, options: SftpOptions, login: Login, trust: Trust) -> None:
        self.address = f"{options.host}:{options.port}"
        self._options, self._login, self._trust = options, login, trust
        self._log = structlog.get_logger("sfmc_producers.sources").bind(server=self.address)

    async def open(self) -> Connection:
        """Connect, check the host key, log in and open the SFTP session.

        Raises SourceRefusedError, SourceUnavailableError or LoginCutError.
        """
        agent = None
        try:
            if self._login.method == "publickey" and self._login.key is None:
                agent = await self._agent()
                key: asyncssh.SSHKeyPair | asyncssh.SSHKey | None = await self._agent_key(agent)
            else:
                key = self._login.key
            return await self._connect(_Client(self._trust, self._login.password, key))
        finally:
            if agent is not None:
                agent.close()
                await agent.wait_closed()

    async def _connect(self, client: _Client) -> Connection:
        try:
            # asyncio.timeout is over all parts, asyncssh's own times are for one each.
            async with asyncio.timeout(self._options.timeout):
                ssh = await self._ssh(client)
        except TimeoutError:
            raise self._cut(client, f"no connection within {self._options.timeout:g} s") from None
        except (asyncssh.Error, OSError, ValueError) as error:
            raise await self._refused_or_cut(client, error) from error
        try:
            async with asyncio.timeout(self._options.timeout):
                return Connection(ssh, await ssh.start_sftp_client(sftp_version=3))
        except (TimeoutError, asyncssh.Error, OSError) as error:
            ssh.abort()
            raise SourceUnavailableError(f"{self.address} opens no SFTP session: {said(error)}") from error

    async def _ssh(self, client: _Client) -> asyncssh.SSHClientConnection:
        options = self._options
        return await asyncssh.connect(
            options.host,
            options.port,
            config=None,
            username=options.user,
            client_factory=lambda: client,
            preferred_auth=self._login.method,
            password=None,
            client_keys=None,
            agent_path=None,
            kbdint_auth=False,
            gss_host=None,
            x509_trusted_certs=None,
            server_host_keys_handler=self._on_host_keys,
            keepalive_interval=options.keepalive,
            login_timeout=options.timeout,
            **self._trust.arguments(),
        )

    async def _refused_or_cut(self, client: _Client, error: Exception) -> Exception:
        if isinstance(error, asyncssh.HostKeyNotVerifiable):
            return SourceRefusedError(*self._trust.refusal(self.address, client.offered))
        if isinstance(error, asyncssh.KeyExchangeFailed) and "host key" in str(error).lower():
            return SourceRefusedError(*self._trust.refusal(self.address, await self._offered()))
        is_said = isinstance(error, asyncssh.DisconnectError) and not isinstance(error, asyncssh.ConnectionLost)
        is_open_question = client.is_login_sent and not client.is_login_accepted
        if isinstance(error, asyncssh.PermissionDenied) or (is_open_question and is_said):
            return self.refused(said(error), is_sent=client.is_login_sent)
        return self._cut(client, said(error))

    def refused(self, text: str, *, is_sent: bool) -> SourceRefusedError:
        """Say that the server does not take the login."""
        if not is_sent:
            text = f"{self.address} does not let users log in by {self._login.method}: {text}"
            return SourceRefusedError(text, "Give the source another kind of login, then start it again.")
        text = f"{self.address} refuses user {one_line(self._options.user)} with {self._login.shown}: {text}"
        fix = (
            "Correct it, then start the source again. It was sent once: servers lock a user after a few refused logins."
        )
        return SourceRefusedError(text, fix)

    def _cut(self, client: _Client, text: str) -> SourceUnavailableError:
        text = f"{self.address}: {text}"
        if client.is_login_sent and not client.is_login_accepted:
            return LoginCutError(f"{text} (while logging in)")
        return SourceUnavailableError(text)

    async def _offered(self) -> str | None:
        """Ask for the host key of a server that has none of the types that are pinned; no one logs in."""
        try:
            async with asyncio.timeout(self._options.timeout):
                key = await asyncssh.get_server_host_key(self._options.host, self._options.port, config=None)
        except (TimeoutError, asyncssh.Error, OSError):
            return None
        return shown_key(key) if key is not None else None

    def _on_host_keys(
        self, added: Sequence[asyncssh.SSHKey], _removed: object, _retained: object, _revoked: object
    ) -> None:
        others = self._trust.not_pinned(added)
        if others:
            detail = "the server also has these host keys: pin them too, and its next rotation stops nothing"
            self._log.info("host_keys_announced", keys=others, detail=detail)

    async def _agent(self) -> asyncssh.SSHAgentClient:
        try:
            async with asyncio.timeout(self._options.timeout):
                return await asyncssh.connect_agent()
        except (TimeoutError, asyncssh.Error, OSError) as error:
            raise SourceUnavailableError(f"the agent at SSH_AUTH_SOCK does not answer: {said(error)}") from error

    async def _agent_key(self, agent: asyncssh.SSHAgentClient) -> asyncssh.SSHKeyPair:
        try:
            async with asyncio.timeout(self._options.timeout):
                keys = await agent.get_keys()
        except (TimeoutError, asyncssh.Error, OSError, ValueError) as error:
            raise SourceUnavailableError(f"the agent at SSH_AUTH_SOCK does not answer: {said(error)}") from error
        chosen = chosen_of_agent(keys, self._login.agent_key)
        if isinstance(chosen, str):
            raise SourceRefusedError(chosen, "Correct agent_key, or load the key, then start the source again.")
        return chosen


def said(error: BaseException) -> str:
    """Give the text of an error as one short line; part of it comes from the server."""
    return one_line(hidden(str(error) or type(error).__name__))[:MAX_TEXT]

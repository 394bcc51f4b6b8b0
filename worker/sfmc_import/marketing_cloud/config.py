"""The configuration of the SOAP adapter: addresses, credentials and time limits."""

from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

TOKEN_PATH = "/v2/token"  # noqa: S105 - a path, not a secret
SOAP_PATH = "/Service.asmx"


class SecretValue(Protocol):
    """A text that does not show itself; pydantic's SecretStr is one."""

    def get_secret_value(self) -> str:
        """Give the text."""
        ...


class PlainSecret:
    """The plainest Secret, for programs without pydantic."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def get_secret_value(self) -> str:
        """Give the text."""
        return self._value

    def __repr__(self) -> str:
        return "Hidden(…)"


NO_SECRET = PlainSecret("")


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketingCloudConfig:
    """Where Marketing Cloud is and who we are there; times in seconds.

    `auth_url` and `soap_url` may be given with or without `/v2/token` and `/Service.asmx`.
    `client_id` and `client_secret` are those of an installed package with a server-to-server component;
    without a client id, `username` and `password` are sent as a WS-Security UsernameToken instead,
    and the service acts in that user's own business unit.
    `verify` is True for the system's certificates, the path of a CA bundle, or False for none.
    """

    soap_url: str
    auth_url: str = ""
    client_id: str = ""
    client_secret: SecretValue = NO_SECRET
    account_id: str = ""
    username: str = ""
    password: SecretValue = NO_SECRET
    connect_timeout: float = 3.0
    read_timeout: float = 60.0
    token_timeout: float = 10.0
    query_deadline: float = 15.0
    query_attempts: int = 4
    verify: bool | str = True

    @property
    def uses_tokens(self) -> bool:
        """Whether calls carry an OAuth2 token; otherwise user name and password."""
        return bool(self.client_id)

    @property
    def token_address(self) -> str:
        """Give the whole address of the token endpoint."""
        return _complete(self.auth_url, TOKEN_PATH)

    @property
    def soap_address(self) -> str:
        """Give the whole address of the SOAP endpoint."""
        return _complete(self.soap_url, SOAP_PATH)


def _complete(url: str, path: str) -> str:
    parts = urlsplit(url.strip())
    return parts._replace(path=parts.path if len(parts.path) > 1 else path, fragment="").geturl()

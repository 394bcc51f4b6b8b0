"""Who is asking: what fills the credential slots of an envelope; tokens are fetched in worker.adapters.tokens."""

from collections.abc import Mapping
from typing import Protocol

from worker.adapters.marketing_cloud.config import MarketingCloudConfig
from worker.adapters.marketing_cloud.headers import user_credentials
from worker.domain.fault_table import after_situation
from worker.domain.faults import Fault


class Login(Protocol):
    """Something that fills the slots; it never shows what it holds."""

    def slots(self) -> Mapping[str, str]:
        """Give the values of the credential slots for one call."""
        ...


class Logins(Protocol):
    """Logins per business unit (MID); safe for threads."""

    def get(self, mid: str) -> Login | Fault:
        """Give a login that should be good, or say why there is none."""
        ...

    def renew(self, mid: str, refused: Login) -> Login | Fault:
        """Give another login than the one that the service refused, or say why there is none."""
        ...


class UserLogin:
    """A WS-Security UsernameToken: nonce and time are new for each call."""

    def __init__(self, config: MarketingCloudConfig) -> None:
        self._config = config

    def slots(self) -> Mapping[str, str]:
        """Give user, password, nonce, time and id."""
        return user_credentials(self._config)


class UserLogins:
    """The one login of a user name and password, the same for every business unit; it cannot be renewed."""

    def __init__(self, config: MarketingCloudConfig) -> None:
        self._login = UserLogin(config)

    def get(self, mid: str) -> Login | Fault:
        """Give the user's login."""
        del mid
        return self._login

    def renew(self, mid: str, refused: Login) -> Login | Fault:
        """Say that the user was refused."""
        del refused
        return after_situation(
            "login_failed",
            f"Marketing Cloud refuses the user name or password (MID {mid}): check SFMC_USERNAME and SFMC_PASSWORD,"
            " and that the user is active and may use the API",
        )

"""The steps in Redis of access tokens that processes share, all of them sealed texts."""

from collections.abc import Callable
from typing import Any, Literal, cast

from redis.exceptions import RedisError

from sfmc_import.ledger.arguments import milliseconds
from sfmc_import.ledger.keys import Keys
from sfmc_import.ledger.token_keys import TOKEN, TOKEN_LEASE
from sfmc_import.ports import LedgerUnavailableError, TokenLook, TokenName


class RedisTokens:
    """Implements sfmc_import.ports.TokenLedger; `run` runs a step of the ledger."""

    def __init__(self, run: Callable[[str, dict[str, Any]], Any], keys: Keys) -> None:
        self._run, self._keys = run, keys

    def look(self, name: TokenName, owner: str, seen: str, *, refused: bool) -> TokenLook:
        """See sfmc_import.ports.TokenLedger.look."""
        more = {"seen": seen, "refused": refused}
        now, kind, value = (each.decode() for each in self._step("look_for_token", name, owner, more))
        held = cast("Literal['token', 'lease', 'wait']", kind)
        text = value if held == "token" else ""
        return TokenLook(kind=held, now=int(now), text=text, strange=value == "strange")

    def share(self, name: TokenName, owner: str, seen: str, text: str, life: float) -> bool:
        """See sfmc_import.ports.TokenLedger.share."""
        more = {"seen": seen, "text": text, "life_ms": max(1, milliseconds(life))}
        return bool(self._step("share_token", name, owner, more))

    def leave(self, name: TokenName, owner: str) -> None:
        """See sfmc_import.ports.TokenLedger.leave."""
        self._step("leave_token", name, owner, {})

    def _step(self, step: str, name: TokenName, owner: str, more: dict[str, Any]) -> Any:
        places = {"token": self._keys.name_of(TOKEN, *name), "lease": self._keys.name_of(TOKEN_LEASE, *name)}
        try:
            return self._run(step, places | {"owner": owner} | more)
        except RedisError as error:
            # A missing right, or a key of another type, comes as an error of the script.
            raise LedgerUnavailableError(str(error)) from error

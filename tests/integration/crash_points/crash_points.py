"""Workers that die, lose replies or lose Redis at their n-th call to the outside."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sfmc_import.ports import LedgerUnavailableError


class DiedError(BaseException):
    """Stands for kill -9: nothing of ours may catch it."""


@dataclass
class Fate:
    """What happens at which call, counted from 1; `calls` notes which of them went to the ledger."""

    kind: str
    point: int
    calls: list[bool] = field(default_factory=list)

    def meet(self, call: Callable[[], Any], *, ledger: bool) -> Any:
        self.calls.append(ledger)
        return FATES[self.kind](call) if len(self.calls) == self.point else call()


def fates(calls: list[bool]) -> list[tuple[str, int]]:
    """Every fate at each of these calls that it can meet; True stands for a call to the ledger."""
    return [
        (kind, point) for point, ledger in enumerate(calls, 1) for kind in FATES if ledger or kind not in LEDGER_ONLY
    ]


def die_before(call: Callable[[], Any]) -> Any:
    raise DiedError


def die_after(call: Callable[[], Any]) -> Any:
    call()
    raise DiedError


def redis_down(call: Callable[[], Any]) -> Any:
    raise LedgerUnavailableError("down")


def reply_lost(call: Callable[[], Any]) -> Any:
    call()
    raise LedgerUnavailableError("the reply was lost")


def repeated(call: Callable[[], Any]) -> Any:
    call()
    return call()


FATES = {
    "die_before": die_before,
    "die_after": die_after,
    "redis_down": redis_down,
    "reply_lost": reply_lost,
    "repeated": repeated,
}
DEATHS = frozenset({"die_before", "die_after"})
LEDGER_ONLY = frozenset({"redis_down", "reply_lost", "repeated"})


class Mortal:
    """A port whose calls meet their fate."""

    def __init__(self, port: Any, fate: Fate, *, ledger: bool) -> None:
        self._port, self._fate, self._ledger = port, fate, ledger

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        return lambda *args, **more: self._fate.meet(lambda: method(*args, **more), ledger=self._ledger)

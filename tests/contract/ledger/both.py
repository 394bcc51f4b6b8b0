"""The twin and the real ledger as one: each step goes to both, and both must answer and tell alike."""

from typing import Any

from sfmc_import.ledger import LedgerSettings
from tests.support.ledger_world import MemoryWorld, RedisWorld


class BothLedgers:
    """Implements sfmc_import.ports.Ledger twice over."""

    def __init__(self, twin: Any, real: Any) -> None:
        self._twin, self._real = twin, real

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **more: Any) -> Any:
            expected = getattr(self._twin, name)(*args, **more)
            answer = getattr(self._real, name)(*args, **more)
            assert _comparable(answer) == _comparable(expected), f"{name}{args}: {answer} instead of {expected}"
            return answer

        return call


def _comparable(answer: Any) -> Any:
    return sorted(map(repr, answer)) if isinstance(answer, list) else answer


class BothWorlds:
    """A World over twin and real ledger; every event of the one is an event of the other."""

    def __init__(self, url: str, settings: LedgerSettings) -> None:
        self.real = RedisWorld(url, settings)
        self.twin = MemoryWorld(settings)
        self.ledger = BothLedgers(self.twin.ledger, self.real.ledger)

    def now_ms(self) -> int:
        return self.twin.now_ms()

    def advance(self, seconds: float) -> None:
        self.twin.advance(seconds)
        self.real.advance(seconds)

    def events(self) -> list[dict[str, Any]]:
        told = self.real.events()
        assert told == self.twin.events()
        return told

    def due(self) -> dict[str, int]:
        times = self.real.due()
        assert times == self.twin.due()
        return times

    def state(self, request_id: str) -> str | None:
        state = self.real.state(request_id)
        assert state == self.twin.state(request_id)
        return state

    def endless_keys(self) -> list[str]:
        return self.real.endless_keys()

    def close(self) -> None:
        self.real.close()

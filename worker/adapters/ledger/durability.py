"""How sure an intent must be before Perform is sent: confirmation by replicas or by the disk; no script lives here."""

from dataclasses import dataclass
from typing import Any, Literal

# How long replicas and disk may take to confirm, in milliseconds.
PATIENCE_MS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Durability:
    """`wait` asks `replicas` to confirm, `waitaof` (Redis 7.2, Valkey) also the local disk, `none` asks nobody."""

    kind: Literal["none", "wait", "waitaof"] = "none"
    replicas: int = 0

    @property
    def command(self) -> tuple[Any, ...] | None:
        """The command that follows the script on the same connection; None when nobody is asked."""
        if self.kind == "wait":
            return ("WAIT", self.replicas, PATIENCE_MS)
        if self.kind == "waitaof":
            return ("WAITAOF", 1, self.replicas, PATIENCE_MS)
        return None

    def is_met(self, answer: Any) -> bool:
        """Judge the answer of `command`."""
        if self.kind == "wait":
            return int(answer) >= self.replicas
        if self.kind == "waitaof":
            local, replicas = answer
            return int(local) >= 1 and int(replicas) >= self.replicas
        return True

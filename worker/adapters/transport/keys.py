"""Names of the Redis keys that the transport owns; touches no server."""

from dataclasses import dataclass

DEFAULT_PREFIX = "{sfmc-import:events}:transport:"
"""Before every own key; the braces put them into the slot of the stream of events."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Full key names; `kombu_prefix` is kombu's `global_keyprefix` and stands before everything.

    No own key carries a TTL, because losing one could lose a message; each is bounded instead:
    `consumers` forgets a consumer an hour after its last beat, an in-flight list holds what one pop
    took and is gone when empty, `dead_letters` is trimmed to its limit.
    """

    prefix: str = DEFAULT_PREFIX
    kombu_prefix: str = ""
    unacked: str = "unacked"
    unacked_index: str = "unacked_index"

    @property
    def consumers(self) -> str:
        """Sorted set: member `<consumer id>:<queue key>`, score = server time of its last beat, seconds."""
        return f"{self.kombu_prefix}{self.prefix}consumers"

    @property
    def dead_letters(self) -> str:
        """Stream: one entry per message set aside; the id tells when, on the server's clock."""
        return f"{self.kombu_prefix}{self.prefix}dead_letters"

    @property
    def in_flight_prefix(self) -> str:
        """Before a member of `consumers`: the list of entries popped by it and not yet claimed."""
        return f"{self.kombu_prefix}{self.prefix}inflight:"

    @property
    def unacked_key(self) -> str:
        """Hash of kombu: delivery tag to the message that a worker holds."""
        return f"{self.kombu_prefix}{self.unacked}"

    @property
    def unacked_index_key(self) -> str:
        """Sorted set of kombu: delivery tag by the time it was claimed, seconds."""
        return f"{self.kombu_prefix}{self.unacked_index}"

    def in_flight(self, member: str) -> str:
        """The in-flight list of one member of `consumers`."""
        return f"{self.in_flight_prefix}{member}"

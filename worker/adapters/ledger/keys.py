"""Names of the keys: all share one hash tag, so that every script stays in one slot of a cluster."""

from dataclasses import dataclass

from worker.messages import StartRequest


@dataclass(frozen=True, slots=True)
class Keys:
    """Key names under `prefix`.

    The stream keeps its plain documented name; its whole name is the hash tag of all other keys,
    which puts them into the slot of the stream.
    """

    prefix: str = "sfmc-import:"

    @property
    def stream(self) -> str:
        """The stream of events."""
        return f"{self.prefix}events"

    @property
    def tag(self) -> str:
        """What every other key begins with."""
        return f"{{{self.stream}}}:"

    @property
    def due(self) -> str:
        """The sorted set of next times, in milliseconds of Redis time."""
        return f"{self.tag}due"

    def request(self, request_id: str) -> str:
        """The record of a request."""
        return f"{self.tag}r:{request_id}"

    def definition(self, mid: str, customer_key: str) -> str:
        """Holder, fence, lease and window of a definition."""
        return f"{self.tag}d:{mid}:{customer_key}"

    def waiting(self, mid: str, customer_key: str) -> str:
        """The follow-ups of a definition in order of arrival."""
        return f"{self.tag}w:{mid}:{customer_key}"

    def task(self, mid: str, task_id: str) -> str:
        """Which request a TaskResultID belongs to."""
        return f"{self.tag}t:{mid}:{task_id}"


def scope(request: StartRequest) -> tuple[str, str]:
    """What single flight is about: business unit and CustomerKey."""
    return request.mid, request.customer_key

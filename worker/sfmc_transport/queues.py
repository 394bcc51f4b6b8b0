"""The lists of a queue: kombu keeps the messages of each priority in a list of their own."""

from typing import Any

PRIORITIES = tuple(range(10))
"""The priorities that Celery sends, first the one that is read first: on Redis 0 comes before 9."""

SEPARATOR = "\x06\x16"
"""What kombu writes between the name of a queue and a priority above 0."""


def lists_of(queue: str) -> list[str]:
    """Give the keys of the lists into which senders with any `priority_steps` write; `queue` is the key of the first.

    A sender rounds a priority down to one of its steps (kombu's own are 0, 3, 6 and 9), so the lists of all ten
    priorities cover every choice of steps.
    """
    return [queue, *(f"{queue}{SEPARATOR}{priority}" for priority in PRIORITIES[1:])]


def length(client: Any, queue: str) -> int:
    """Count the messages that wait in a queue, over all priorities."""
    with client.pipeline(transaction=False) as pipe:
        for key in lists_of(queue):
            pipe.llen(key)
        return sum(map(int, pipe.execute()))

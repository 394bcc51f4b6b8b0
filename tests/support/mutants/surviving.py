"""Why the simulation cannot detect some wrong scripts and rules. The contract tests must detect each of them."""

import re

TIME = "requests wait longer or shorter, and no promise is broken"
UNKNOWN = "no schedule met it, or another safeguard held"

WHY = (
    (
        r"watch_ttl|waits_key|remember_waits|LONG_WAIT|found\[field\]|watchers_key|folders|FOLDER|stopped|last_seen|present\(a\.text\)|probe_ttl|results_key|caller|reply|replies|a\.limit|stream_maxlen|has_other_content",
        "no schedule does what this decides",
    ),
    (r"theirs|a\.alive|account_key|processes_key|report_key", "no schedule does what this decides"),
    (
        r"found >= a\.count|loss_key|_loss\(|forgot|candidates|loss\.kept|loss_age|note_newest|newest\(mid\)",
        "a schedule loses no writes of Redis",
    ),
    (r"int\([dr]\.fence\) \+ 1, now|held_by_other|request_key\(d\.holder", "a schedule loses no writes of Redis"),
    (r"release_suspect|suspects_key|suspect_key|ZPOPMIN|until not first|'reconciling'\" ->|if first then", TIME),
    (r"due_at\(id, r, int\(other|opens_in|== int\(r\.fence\)' -> 'return false|drop'|1e13|r\.force", TIME),
)
"""A pattern of the change, and the reason; the first that matches counts."""


def why(change: str) -> str:
    """Say why a change survives, as far as that is known."""
    return next((reason for pattern, reason in WHY if re.search(pattern, change)), UNKNOWN)

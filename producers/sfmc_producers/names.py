"""Which file names are no arrivals: those of writers that are not done, and those of files that were handled."""

import re
from collections.abc import Sequence
from fnmatch import translate
from functools import lru_cache

UNFINISHED_NAMES = (
    ".*",  # rsync writes .NAME.XXXXXX, and many others hide what is not done
    "*~",
    "~*",
    "*.part",
    "*.partial",
    "*.filepart",
    "*.tmp",
    "*.temp",
    "*.crdownload",
    "*.opdownload",
    "*.download",
    "*.aria2",
    "*.!*",  # synchronisation and peer-to-peer programs
    "*._copying_",  # hdfs dfs -put
    "*.writing",
    "*.inprogress",
    "*.in_progress",
    "*.incomplete",
    "*.uploading",
    "*.wip",
    "*.swp",
    "*.lock",
    "*.lck",
)
"""Names that writers use until they are done, in lower case."""

HANDLED_NAMES = (
    "*.done",
    "*.ok",
    "*.ready",
    "*.processed",
    "*.imported",
    "*.archived",
    "*.completed",
    "*.finished",
    "*.failed",
    "*.error",
    "*.rejected",
    "*.bak",
    "*.old",
    "*.orig",
    "*.md5",
    "*.sha1",
    "*.sha256",
)
"""Names of markers and of files that another program has handled, in lower case."""

IGNORED_NAMES = UNFINISHED_NAMES + HANDLED_NAMES


def is_named(name: str, patterns: Sequence[str]) -> bool:
    """Say whether one of these globs means the whole name, in upper or lower case."""
    return _any_of(tuple(patterns)).match(name.lower()) is not None


@lru_cache(maxsize=32)
def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(translate(pattern.lower()) for pattern in patterns) or r"(?!)")

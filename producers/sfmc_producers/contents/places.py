"""Which files a source may read: those below the place that its table names, whatever its events say."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import BinaryIO, NoReturn

from sfmc_import.request import FileInfo
from sfmc_producers.content_errors import ContentGoneError
from sfmc_producers.sources.arrivals import Arrival


def is_below(location: str, root: str) -> bool:
    """Tell whether a location is that place or below it."""
    return location == root or location.startswith(f"{root.rstrip('/')}/")


def with_content(arrival: Arrival, root: str, open_content: Callable[[Arrival], BinaryIO]) -> Arrival:
    """Give an arrival whose content can be opened if it lies below `root`, and else says that it does not."""
    if is_below(arrival.file.location, root):
        return replace(arrival, open_content=partial(open_content, arrival))
    return replace(arrival, open_content=partial(_refuse, arrival.file, root))


def _refuse(file: FileInfo, root: str) -> NoReturn:
    # The login may read more than the senders of these events may name.
    raise ContentGoneError(f"{file.name} does not lie below {root}, from where [source.content] lets it be read")

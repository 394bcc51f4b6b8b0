"""What is said about a definition that nothing knows: names that are near, and files that wait under its name."""

from collections.abc import Iterator

from sfmc_import.access import ReadAccess
from sfmc_import.advice import Advice, Command, with_command
from sfmc_import.ledger.calling import redis_errors
from sfmc_import.operations import knowing
from sfmc_import.operations.folders import folders
from sfmc_import.operations.suggesting import suggestion
from sfmc_import.operations.unmatched import UnmatchedFile, unmatched_files
from sfmc_import.redaction import hidden
from sfmc_import.request import fold_key

LOOKED_AT = 5000
"""Among how many of the newest events files that start nothing are looked for."""

MOST = 3
"""Files that are named."""

WHAT_THERE_IS = with_command("list what is unfinished with", "status")
_UNMATCHED = Command(("status", "--unmatched"))


def advice(access: ReadAccess, mid: str, key: str) -> Advice:
    """Say which definition was meant perhaps, and which files of this name have not become a request, and why."""
    near = suggestion(key, knowing.keys_of(access, mid) | access.reader.keys_of_definitions(mid))
    strays = _strays(access, mid, key)
    found = [*map(_starts_nothing, strays), *_waiting(access, key)]
    more = [f"and {len(found) - MOST} more files"] if len(found) > MOST else []
    text = hidden("; ".join([*([near] if near else []), *found[:MOST], *more]))
    if strays:
        return Advice((text,), _UNMATCHED, at_prompt="see")
    return Advice((text,)) if text else WHAT_THERE_IS


def _strays(access: ReadAccess, mid: str, key: str) -> list[UnmatchedFile]:
    with redis_errors():
        found = unmatched_files(access.stream.backwards(LOOKED_AT))
    return [each for each in found if each.mid == mid and _is_about(key, each.name, *each.customer_keys)]


def _starts_nothing(file: UnmatchedFile) -> str:
    return f"the file {file.name} starts nothing: {file.text or file.reason}"


def _waiting(access: ReadAccess, key: str) -> Iterator[str]:
    for folder in folders(access.reader):
        for file in folder.files:
            if _is_about(key, file.name):
                yield f"the file {file.name} waits in {folder.folder}: {file.text}"


def _is_about(key: str, *names: str) -> bool:
    """Tell whether one of these names has the key in it."""
    folded = fold_key(key)
    return any(folded in fold_key(name) for name in names)

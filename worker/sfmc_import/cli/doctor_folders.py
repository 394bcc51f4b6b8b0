"""What `doctor` says of watched folders: those in trouble, one by one, and how many are well."""

from collections.abc import Iterator, Sequence

from sfmc_import.operations.clocks import ClockView
from sfmc_import.operations.folders import sentence
from sfmc_import.operations.lost_writes import LossView
from sfmc_import.operations.outdated import OldDefinitionsView
from sfmc_import.operations.outdated import sentence as sentence_of_old
from sfmc_import.operations.views import FolderView
from sfmc_import.redis_server import Finding

SHOWN = 10
"""Folders in trouble that are named."""


def check_folders(found: Sequence[FolderView]) -> Iterator[Finding]:
    """Say which folders are not read, or read and hold files that cannot go on; a failure each."""
    wrong = [each for each in found if each.is_trouble]
    for each in wrong[:SHOWN]:
        yield Finding("fail", "folder", f"{each.folder}: {sentence(each)}", to_do_about(each))
    if len(wrong) > SHOWN:
        yield Finding("fail", "folder", f"{len(wrong) - SHOWN} more folders are in trouble", "see: sfmc-import status")
    yield from (
        Finding("ok", "folder", f"{each.folder}: {sentence(each)}") for each in found if each.state == "stopped"
    )
    watched = [each for each in found if not each.is_trouble and each.state == "watched"]
    if watched:
        waiting = sum(each.waiting for each in watched)
        text = f"{len(watched)} folder{'s' * (len(watched) != 1)} watched, {waiting} files wait in them"
        yield Finding("ok", "folder", text)


def check_old_definitions(found: Sequence[OldDefinitionsView]) -> Iterator[Finding]:
    """Say by which old lists of definitions files are routed: that works, and what is new there is not seen."""
    return (Finding("warn", "definitions", sentence_of_old(each), each.advice) for each in found)


def check_clocks(found: Sequence[ClockView]) -> Iterator[Finding]:
    """Name each process that says that its clock differs from that of Redis."""
    return (Finding("warn", "clock", each.text, each.advice) for each in found)


def check_losses(found: Sequence[LossView]) -> Iterator[Finding]:
    """Say what Redis has lost: a failure while starts are careful; a ledger that may be new is none."""
    return (Finding("fail" if each.is_alarm else "warn", "losses", each.text, each.advice) for each in found)


def to_do_about(folder: FolderView) -> str:
    """Say what to do, and give the command where there is one."""
    return ": ".join(each for each in (folder.advice, folder.command) if each)

"""What `status --unmatched` shows: files that start nothing, because no definition or several definitions match."""

from sfmc_import.cli.folder_lines import old_lines
from sfmc_import.cli.output import Line
from sfmc_import.operations.business_units import are_several
from sfmc_import.operations.status import UnmatchedFileView, UnmatchedView
from sfmc_import.operations.unmatched import LOOKED_AT

MOST = 500
"""How many one answer has at most."""


def unmatched_lines(found: UnmatchedView) -> list[Line]:
    """Give the number of all, and the newest."""
    shown = found.unmatched
    files = "1 file" if found.count == 1 else f"{found.count} files"
    lines: list[Line] = [f"{files} without a definition, among the last {LOOKED_AT} events"]
    lines += [f"  {line}" for line in old_lines(found.old_definitions)]
    with_mid = are_several(shown)
    lines += [_line(each, with_mid=with_mid) for each in shown]
    if found.count > len(shown):
        lines.append(f"  and {found.count - len(shown)} more{_command(found.count, len(shown))}")
    if found.count:
        lines.append("  why: sfmc-import explain FILE; then add a [[route]], or correct FileSpec")
    return lines


def _command(count: int, shown: int) -> str:
    if shown >= MOST:
        return ", which the console lists"
    return f": sfmc-import status --unmatched --last {min(count, MOST)}"


def _line(file: UnmatchedFileView, *, with_mid: bool) -> str:
    place = f"{file.location}/{file.name}" if file.location else file.name
    unit = f", business unit {file.mid}" if with_mid else ""
    keys = f" ({', '.join(file.customer_keys)})" if file.customer_keys else ""
    return f"  {file.since[:19].replace('T', ' ')} UTC  {place}  {file.text}{keys}{unit}"

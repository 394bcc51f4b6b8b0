"""What `status --unmatched` shows: files that start nothing, because no definition or several definitions match."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sfmc_import.cli.output import Line
from sfmc_import.operations.unmatched import LOOKED_AT, UnmatchedFile


def describe_unmatched(found: Sequence[UnmatchedFile], count: int) -> tuple[Mapping[str, Any], Sequence[Line]]:
    """Give the number of all and the newest `count`, for programs and as lines."""
    shown = found[:count]
    lines: list[Line] = [f"{len(found)} files without a definition, among the last {LOOKED_AT} events"]
    lines += [_line(each) for each in shown]
    if len(found) > len(shown):
        lines.append(f"  and {len(found) - len(shown)} more: --last {len(found)}")
    if found:
        lines.append("  why: sfmc-import explain FILE; then add a [[route]], or correct FileSpec")
    return {"count": len(found), "unmatched": [asdict(each) for each in shown]}, lines


def _line(file: UnmatchedFile) -> str:
    place = f"{file.location}/{file.name}" if file.location else file.name
    keys = f" ({', '.join(file.customer_keys)})" if file.customer_keys else ""
    return f"  {file.since[:19].replace('T', ' ')} UTC  {place}  {file.text}{keys}"

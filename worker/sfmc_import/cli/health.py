"""`sfmc-import health`: whether the worker or beat of this container is alive, by its heartbeat file."""

import os
import time
from pathlib import Path

import click

from sfmc_import.cli.output import examples, json_option, print_json, print_line

MAX_AGE = 120.0


@click.command(epilog=examples("healthcheck:", "  test: [CMD, sfmc-import, health]", title="In docker-compose.yml"))
@click.option(
    "--file", "path", type=click.Path(path_type=Path), help="The heartbeat file.  [default: SFMC_HEARTBEAT_FILE]"
)
@click.option(
    "--max-age",
    default=MAX_AGE,
    show_default=True,
    help="Seconds without a heartbeat after which the worker counts as dead.",
)
@click.option("--ready", is_flag=True, help="Check also that it takes messages.")
@json_option
def health(path: Path | None, max_age: float, *, ready: bool, as_json: bool) -> None:
    """Check that the worker or beat of this container is alive.

    Both touch SFMC_HEARTBEAT_FILE every few seconds, also while Redis is unavailable. So the check fails only
    if the process has ended or hangs. Use --ready if others wait until it takes messages.

    Exit code: 0 alive (with --ready: and ready), 1 not, 2 usage error.
    """
    path = path or _from_environment()
    age, word = _read(path)
    alive = age is not None and age <= max_age
    well = alive and (word == "ready" or not ready)
    text = _say(path, age, word, max_age, well=well)
    if as_json:
        print_json({"healthy": well, "state": word, "age": age, "file": str(path)})
    else:
        print_line(text)
    raise SystemExit(0 if well else 1)


def _from_environment() -> Path:
    named = os.environ.get("SFMC_HEARTBEAT_FILE")
    if not named:
        raise click.UsageError("no heartbeat file; set SFMC_HEARTBEAT_FILE for the worker and for this command")
    return Path(named)


def _read(path: Path) -> tuple[float | None, str | None]:
    try:
        words = path.read_text(encoding="ascii", errors="replace").split()
        return max(0.0, time.time() - path.stat().st_mtime), words[0] if words else None
    except OSError:
        return None, None


def _say(path: Path, age: float | None, word: str | None, max_age: float, *, well: bool) -> str:
    if age is None:
        return f"not healthy: there is no file {path}; start the worker with SFMC_HEARTBEAT_FILE={path}"
    if well:
        return f"healthy: {word}, last heartbeat {age:.0f} s ago"
    if age > max_age:
        return f"not healthy: last heartbeat {age:.0f} s ago, more than {max_age:.0f} s"
    return f"not ready: {word}, last heartbeat {age:.0f} s ago"

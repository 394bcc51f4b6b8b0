"""`sfmc-import health`: a look at the heartbeat file, cheap enough for a container to ask every few seconds."""

import os
import time
from pathlib import Path

import click

from worker.cli.printing import examples, json_option, print_json

LONGEST_AGE = 120.0


@click.command(epilog=examples("healthcheck:", "  test: [CMD, sfmc-import, health]", title="In docker-compose.yml"))
@click.option("--file", "path", type=click.Path(path_type=Path), help="The file; without it SFMC_HEARTBEAT_FILE.")
@click.option(
    "--max-age", default=LONGEST_AGE, show_default=True, help="Seconds after which the worker counts as dead."
)
@click.option("--ready", is_flag=True, help="Ask also that it takes messages, not only that it lives.")
@json_option
def health(path: Path | None, max_age: float, *, ready: bool, as_json: bool) -> None:
    """Whether the worker of this container lives: exit code 0, else 1.

    The worker and beat touch SFMC_HEARTBEAT_FILE every few seconds, also while Redis is away; so a
    restart by this check means a process that really hangs. Ask for --ready where traffic waits for it.
    """
    path = path or _from_environment()
    age, word = _read(path)
    alive = age is not None and age <= max_age
    well = alive and (word == "ready" or not ready)
    text = _say(path, age, word, max_age, well=well)
    if as_json:
        print_json({"healthy": well, "state": word, "age": age, "file": str(path)})
    else:
        click.echo(text)
    raise SystemExit(0 if well else 1)


def _from_environment() -> Path:
    named = os.environ.get("SFMC_HEARTBEAT_FILE")
    if not named:
        raise click.UsageError("no heartbeat file: set SFMC_HEARTBEAT_FILE for the worker and for this command")
    return Path(named)


def _read(path: Path) -> tuple[float | None, str | None]:
    try:
        words = path.read_text(encoding="ascii", errors="replace").split()
        return max(0.0, time.time() - path.stat().st_mtime), words[0] if words else None
    except OSError:
        return None, None


def _say(path: Path, age: float | None, word: str | None, max_age: float, *, well: bool) -> str:
    if age is None:
        return f"not healthy: {path} is not there; is the worker running with SFMC_HEARTBEAT_FILE?"
    if well:
        return f"healthy: {word}, last sign of life {age:.0f} s ago"
    if age > max_age:
        return f"not healthy: last sign of life {age:.0f} s ago, {max_age:.0f} s are allowed"
    return f"not ready: {word}, last sign of life {age:.0f} s ago"

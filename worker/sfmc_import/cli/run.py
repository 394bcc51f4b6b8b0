"""`sfmc-import worker` and `beat`: Celery in this process, with the options that suit the work."""

import os
import time
from pathlib import Path
from typing import Any

import click

from sfmc_import.cli.output import examples, json_option, print_json
from sfmc_import.settings import load


@click.command(
    epilog=examples(
        "sfmc-import worker",
        "sfmc-import worker --concurrency 64",
        "SFMC_LOG_FORMAT=json sfmc-import worker 2>worker.log",
    )
)
@click.option(
    "-c",
    "--concurrency",
    type=click.IntRange(1, 512),
    help="Tasks at the same time.  [default: SFMC_CONCURRENCY, or 32]",
)
@click.option(
    "-P",
    "--pool",
    type=click.Choice(["threads", "prefork", "solo"]),
    help="Kind of pool.  [default: SFMC_POOL, or threads]",
)
@click.option("-n", "--name", help="Name of this worker in logs; %h is the host name.", default="imports@%h")
@click.option(
    "-l",
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="Least level to log.  [default: SFMC_LOG_LEVEL, or info]",
)
def worker(concurrency: int | None, pool: str | None, name: str, log_level: str | None) -> None:
    """Take requests from the queue, start imports and follow their runs to the end.

    Any number of workers can run, on any number of machines, with the same Redis. One process uses one core,
    about 2 ms for each start; if that is not enough, run more processes. To stop it, send SIGTERM: it finishes
    the current calls, and other workers take the rest. Logs go to standard error.

    Exit code: 0 stopped, 1 Redis is not usable, 2 usage or settings error.
    """
    _prefer({"SFMC_CONCURRENCY": concurrency, "SFMC_POOL": pool, "SFMC_LOG_LEVEL": log_level})
    settings = load(os.environ, marketing_cloud=True)
    # Celery and our app take 400 ms to load, which --help must not pay.
    from celery.utils.nodenames import default_nodename, host_format  # noqa: PLC0415

    from sfmc_import import worker_process  # noqa: PLC0415
    from sfmc_import.celery_app import app  # noqa: PLC0415

    worker_process.log_everything(app)
    process = app.Worker(
        hostname=host_format(default_nodename(name)),
        pool_cls=settings.pool,
        concurrency=settings.concurrency,
        loglevel=settings.log_level.upper(),
        quiet=True,
        # What costs start-up time, connections or log lines and brings this work nothing.
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    process.start()
    raise SystemExit(process.exitcode)


@click.command(epilog=examples("sfmc-import beat"))
@click.option(
    "-l",
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="Least level to log.  [default: SFMC_LOG_LEVEL, or info]",
)
def beat(log_level: str | None) -> None:
    """Send workers what is due: retries, follow-ups, polls of runs, and requests of workers that died.

    At least one beat must run. Any number can run, on any machine. Beat stores nothing on disk.

    Exit code: 0 stopped, 1 Redis is not usable, 2 usage or settings error.
    """
    _prefer({"SFMC_LOG_LEVEL": log_level})
    settings = load(os.environ)
    from sfmc_import import worker_process  # noqa: PLC0415 - start-up cost, as above
    from sfmc_import.celery_app import app  # noqa: PLC0415

    worker_process.log_everything(app)
    app.Beat(loglevel=settings.log_level.upper(), quiet=True).run()


def _prefer(given: dict[str, Any]) -> None:
    """Let options win over the environment, also for the children of this process."""
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})


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
        click.echo(text)
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

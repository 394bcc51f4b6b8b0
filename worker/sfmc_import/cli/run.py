"""`sfmc-import worker` and `beat`: Celery in this process, with the options that suit the work."""

import os
from typing import Any

import click
import structlog

from sfmc_import.access import unused_api
from sfmc_import.cli.output import examples
from sfmc_import.errors import INTERRUPTED
from sfmc_import.settings import load

log = structlog.get_logger("sfmc_import.worker_process")


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

    Any number of workers can run, on any number of machines, with the same Redis. One process uses one core at
    most; if that is not enough, run more processes. To stop it, send SIGTERM: it finishes the current calls, and
    other workers take the rest. Logs go to standard error.

    Exit code: 0 stopped by SIGTERM, 130 Ctrl-C, 1 Redis is not usable, 2 usage or settings error.
    """
    _prefer({"SFMC_CONCURRENCY": concurrency, "SFMC_POOL": pool, "SFMC_LOG_LEVEL": log_level})
    settings = load(os.environ, marketing_cloud=True)
    note = unused_api(settings, "worker")
    from celery.utils.nodenames import default_nodename, host_format  # noqa: PLC0415 - 400 ms that --help must not pay

    from sfmc_import import worker_process  # noqa: PLC0415
    from sfmc_import.celery_app import app  # noqa: PLC0415

    _log_everything(app, note)
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
    raise SystemExit(worker_process.run_until_signal(process))


@click.command(epilog=examples("sfmc-import beat"))
@click.option(
    "-l",
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="Least level to log.  [default: SFMC_LOG_LEVEL, or info]",
)
def beat(log_level: str | None) -> None:
    """Send workers what is due: retries, follow-ups, polls of runs, and requests of workers that died.

    It also submits what schedules ask for ([[source]] of kind schedule in the policy file).

    At least one beat must run. Any number can run, on any machine. Beat stores nothing on disk.

    Exit code: 0 stopped by SIGTERM, 130 Ctrl-C, 1 Redis is not usable, 2 usage or settings error.
    """
    _prefer({"SFMC_LOG_LEVEL": log_level})
    settings = load(os.environ)
    note = unused_api(settings, "beat")
    from sfmc_import.celery_app import app  # noqa: PLC0415 - start-up cost, as above

    _log_everything(app, note)
    process = app.Beat(loglevel=settings.log_level.upper(), quiet=True)
    process.run()
    raise SystemExit(INTERRUPTED if process.interrupted else 0)


def _log_everything(app: Any, note: str) -> None:
    """Log all that this process says from now on; `note` says that an API of the settings is not used."""
    from sfmc_import.worker_process import log_everything  # noqa: PLC0415 - start-up cost, as above

    log_everything(app)
    if note:
        log.warning("api_url_not_used", detail=note)


def _prefer(given: dict[str, Any]) -> None:
    """Let options win over the environment, also for the children of this process."""
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})

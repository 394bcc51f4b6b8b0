"""`sfmc-import worker` and `beat`: Celery in this process, with the options that suit the work; no Celery settings."""

import os
from typing import Any

import click

from worker.cli.printing import examples
from worker.settings import load


@click.command(
    epilog=examples(
        "sfmc-import worker",
        "sfmc-import worker --concurrency 64",
        "SFMC_LOG_FORMAT=json sfmc-import worker 2>worker.log",
    )
)
@click.option("-c", "--concurrency", type=click.IntRange(1, 512), help="Tasks at the same time [SFMC_CONCURRENCY, 32].")
@click.option("-P", "--pool", type=click.Choice(["threads", "prefork", "solo"]), help="Kind of pool [SFMC_POOL].")
@click.option("-n", "--name", help="Name of this worker, for logs; %h is the host, %n a number.", default="imports@%h")
@click.option("-l", "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="[SFMC_LOG_LEVEL]")
def worker(concurrency: int | None, pool: str | None, name: str, log_level: str | None) -> None:
    """Take requests, start imports, follow runs to their end.

    Any number of workers may run, on any number of machines; each needs the same Redis. One process
    of threads uses one core, about 2 ms of it for a start: more is more processes. Stop it with SIGTERM: it
    finishes the call it is in and leaves the rest to others. Logs go to standard error.
    """
    _prefer({"SFMC_CONCURRENCY": concurrency, "SFMC_POOL": pool, "SFMC_LOG_LEVEL": log_level})
    settings = load(os.environ, marketing_cloud=True)
    # Celery and our app take 400 ms to load, which --help must not pay.
    from celery.utils.nodenames import default_nodename, host_format  # noqa: PLC0415

    from worker.app import app  # noqa: PLC0415

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
@click.option("-l", "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="[SFMC_LOG_LEVEL]")
def beat(log_level: str | None) -> None:
    """Wake whatever is due: retries, follow-ups, runs to be looked at, and what a dead worker left.

    At least one must run; any number may, on any machine. Nothing is kept on disk.
    """
    _prefer({"SFMC_LOG_LEVEL": log_level})
    settings = load(os.environ)
    from celery.apps.beat import Beat  # noqa: PLC0415 - start-up cost, as above

    from worker.app import app  # noqa: PLC0415

    scheduler = "worker.cli.scheduler:QuietScheduler"
    Beat(app=app, scheduler_cls=scheduler, loglevel=settings.log_level.upper(), quiet=True).run()


def _prefer(given: dict[str, Any]) -> None:
    """Let options win over the environment, also for the children of this process."""
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})

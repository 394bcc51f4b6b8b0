"""Tasks that talk in every way a task can, for a worker started with `--include`; they import nothing."""

import logging

import structlog

from sfmc_import.celery_app import app


@app.task(name="chatter.talk")
def talk() -> None:
    """Print, log as a library does, log as we do."""
    print("printed\nin two lines")  # noqa: T201 - what becomes of it is tested
    logging.getLogger("some.library").warning("lost %s", "something", extra={"queue": "imports"})
    structlog.get_logger("worker.chatter").info("said_something", attempt=1)


@app.task(name="chatter.fail")
def fail() -> None:
    """End by exception, with a secret of the settings in its text."""
    raise RuntimeError(f"cannot log in with {app.settings.client_secret.get_secret_value()}")

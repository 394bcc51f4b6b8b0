"""A Celery program for the tests: its tasks write one line each into the file $PROBE_NOTES."""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from celery import Celery, signals
from celery.exceptions import Reject

from sfmc_transport import TRANSPORT_OPTIONS, connect

SKEW = float(os.environ.get("PROBE_CLOCK_SKEW", "0"))
if SKEW:  # a machine whose clock is wrong: before anything binds time.time
    right_time = time.time
    time.time = lambda: right_time() + SKEW


OPTIONS = {
    **TRANSPORT_OPTIONS,
    "visibility_timeout": float(os.environ.get("PROBE_VISIBILITY", "300")),
    "unacked_restore_interval": 0.3,
    "sfmc_dead_after": 1.0,
    "sfmc_beat_every": 0.2,
    **({"master_name": os.environ["PROBE_MASTER"]} if "PROBE_MASTER" in os.environ else {}),
    "polling_interval": float(os.environ.get("PROBE_POP_TIMEOUT", "1")),
}

app = Celery("probe", broker=os.environ.get("PROBE_BROKER"))
app.conf.update(
    broker_transport_options=OPTIONS,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_channel_error_retry=True,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_enable_remote_control=False,
    worker_prefetch_multiplier=1,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    task_default_queue="imports",
    accept_content=["json"],
)
if os.environ.get("PROBE_TRANSPORT") == "reliable":
    connect(app)


def write(line: str) -> None:
    """Add a line to the notes; whole even if several processes write."""
    descriptor = os.open(os.environ["PROBE_NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


@signals.worker_ready.connect
def note_readiness(**_: Any) -> None:
    """Say that the worker consumes."""
    write(f"ready {os.getpid()}")


@app.task(name="probe.note")
def note(name: str) -> None:
    """Note that this ran."""
    write(name)


@app.task(name="probe.linger")
def linger(name: str) -> None:
    """Note the start, stay until the test lets it end, note the end."""
    write(f"{name} began")
    while not Path(os.environ["PROBE_NOTES"]).with_suffix(".end").exists():
        threading.Event().wait(0.02)
    write(f"{name} ended")


@app.task(name="probe.die")
def die(name: str) -> None:
    """Kill the process that runs this."""
    write(f"{name} began")
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(name="probe.refuse")
def refuse(name: str) -> None:
    """Refuse the message for good."""
    raise Reject(name, requeue=False)


@app.task(name="probe.noop")
def noop(name: str) -> None:
    """Do nothing, for measurements."""


@app.task(name="probe.stamp")
def stamp(sent_at: float) -> None:
    """Note how many seconds the message was under way, for measurements."""
    write(f"lat={time.time() - sent_at:.6f}")

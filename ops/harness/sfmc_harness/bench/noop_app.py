"""A Celery worker that does nothing, on kombu's stock transport: what every figure is compared with."""

import os

from celery import Celery

app = Celery("noop", broker=os.environ.get("BENCH_BROKER", ""), set_as_current=False)
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    task_default_queue="noop",
    broker_connection_retry_on_startup=True,
)


@app.task(name="noop")
def noop(customer_key: str) -> None:
    """Do nothing."""

"""A worker as many people write it: SET NX with an expiry, and a retry after any error. The chaos run must fail.

It writes the events of the product, so that the same checker can count its double starts and lost requests.
"""

import os
from typing import Any
from uuid import uuid4

import orjson
import redis
from celery import Celery, Task
from tenacity import Retrying, retry_if_not_result, stop_after_attempt, wait_random_exponential

from sfmc_harness.chaos.final_state import QUEUE
from sfmc_harness.chaos.plan import WINDOW_HOURS
from sfmc_import.bootstrap import open_marketing_cloud
from sfmc_import.ledger.keys import Keys
from sfmc_import.runs import Accepted
from sfmc_import.settings import load

ATTEMPTS = 5
LOCK_MS = int(WINDOW_HOURS * 3_600_000)

account_id = os.environ.get("SFMC_ACCOUNT_ID", "")
keys = Keys(os.environ.get("SFMC_PREFIX", Keys().prefix))
url = os.environ.get("SFMC_REDIS_URL", "redis://127.0.0.1:6379/0")
app = Celery("naive", broker=url, set_as_current=False)
app.conf.update(
    task_default_queue=QUEUE,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={"visibility_timeout": 10, "socket_timeout": 5, "priority_steps": [0]},
)


@app.task(name="imports.start", bind=True)
def start(
    self: "Task[..., Any]", /, customer_key: str, file: dict[str, Any] | None = None, event_id: str = "",
    source: str = "", reason: str = "", *, force: bool = False,
) -> None:  # fmt: skip
    """Start an import unless the lock is taken; try again whenever it did not work."""
    del event_id, source, reason, force
    request_id = str(self.request.id)
    with redis.Redis.from_url(url) as client:
        publish(client, request_id, customer_key, "accepted", file=file)
        if not client.set(f"lock:{customer_key}", request_id, nx=True, px=LOCK_MS):
            publish(client, request_id, customer_key, "duplicate")
            return
        publish(client, request_id, customer_key, "starting")
        answer = perform(customer_key)
        if isinstance(answer, Accepted):
            publish(client, request_id, customer_key, "started", task_id=answer.task_id)
            publish(client, request_id, customer_key, "completed", task_id=answer.task_id)
        else:
            publish(client, request_id, customer_key, "gave_up")


def perform(customer_key: str) -> object:
    """Send Perform, again after every kind of failure."""
    cloud = open_marketing_cloud(load(os.environ))
    attempts = Retrying(
        retry=retry_if_not_result(lambda answer: isinstance(answer, Accepted)),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_random_exponential(multiplier=0.1, max=1.0),
        retry_error_callback=lambda state: state.outcome and state.outcome.result(),
    )
    return attempts(lambda: cloud.start(account_id, customer_key, not_after=float("inf")))


def publish(client: "redis.Redis", request_id: str, customer_key: str, name: str, **more: Any) -> None:
    """Append an event of the product's shape."""
    data = {"request_id": request_id, "customer_key": customer_key, "mid": account_id, **more}
    event = {"id": f"{request_id}/{uuid4().hex}/{name}", "type": f"sfmc.import.{name}", "subject": customer_key}
    client.xadd(keys.stream, {"event": orjson.dumps({**event, "data": data})})


if __name__ == "__main__":
    app.worker_main(["worker", "-P", "threads", "-c", "8", "--without-gossip", "--without-mingle", "-l", "WARNING"])

"""The token endpoint is away for longer than a request may be retried, in real processes: nothing ends, all start."""

from collections import Counter
from collections.abc import Iterator

import pytest
from celery import Celery

from tests.support.processes import RunningSystem, running_system
from tests.support.sandbox_server import ACCOUNT_ID
from tests.support.waiting import eventually

UNITS = [ACCOUNT_ID, ACCOUNT_ID + 1, ACCOUNT_ID + 2]
KEYS = [f"file-{number}" for number in range(4)]
ROWS = "key\n1\n"
DEADLINE_SECONDS = 3
ENDS = {"gave_up", "rejected", "start_unknown", "expired", "message_rejected"}


@pytest.fixture(scope="module")
def stack() -> Iterator[RunningSystem]:
    options = [word for mid in UNITS for word in ("--account-id", str(mid))]
    settings = {"SFMC_RETRY_DEADLINE": str(DEADLINE_SECONDS), "SFMC_RETRY_BACKOFF_CAP": "1", "SFMC_TOKEN_TIMEOUT": "1"}
    with running_system(settings, options) as made:
        made.worker()
        made.worker()
        made.beat()
        yield made


@pytest.mark.parametrize(
    "fault",
    [pytest.param(fault, marks=pytest.mark.nightly) for fault in ("http_500", "http_503", "hang")],
)
def test_an_outage_of_the_token_endpoint_ends_no_request_and_each_starts_once_after_it(
    stack: RunningSystem, fault: str
) -> None:
    control = stack.sandbox.control
    for mid in UNITS:
        for key in KEYS:
            control.define(f"{fault}-{key}", FileSpec=f"{fault}-{key}.csv", mid=mid)
            stack.sandbox.drop(f"{fault}-{key}.csv", ROWS, mid=mid)
    control.expire_tokens()
    with control.fault(fault, "Token"):
        requests = _send_all(stack, fault)
        eventually(lambda: _waited_longer_than_the_deadline(stack, requests), 60, "each outlives its retry deadline")
        assert _names(stack, requests).isdisjoint(ENDS | {"started"})
    for request in requests:
        stack.await_event("completed", request)

    assert _names(stack, requests).isdisjoint(ENDS)
    starts = Counter(
        (each["mid"], each["customer_key"]) for each in control.performs() if fault in each["customer_key"]
    )
    assert starts == {(mid, f"{fault}-{key}"): 1 for mid in UNITS for key in KEYS}


def _send_all(stack: RunningSystem, prefix: str) -> list[str]:
    with Celery("somebody", broker=stack.valkey.celery_url, set_as_current=False) as app:
        return [str(_send(app, str(mid), f"{prefix}-{key}").id) for mid in UNITS for key in KEYS]


def _send(app: Celery, mid: str, key: str):
    file = {"location": "/in", "name": f"{key}.csv", "version": "1"}
    return app.send_task("imports.start", kwargs={"customer_key": key, "mid": mid, "file": file}, queue="imports")


def _waited_longer_than_the_deadline(stack: RunningSystem, requests: list[str]) -> bool:
    """Whether each request was tried again later than its deadline after its first failure."""
    return all(_seconds_of_retrying(stack, request) > DEADLINE_SECONDS + 1 for request in requests)


def _seconds_of_retrying(stack: RunningSystem, request: str) -> float:
    entries = stack.client.xrange("sfmc-import:events")
    times = [int(number.split(b"-")[0]) for number, fields in entries if _is_retry(fields[b"event"], request)]
    return (times[-1] - times[0]) / 1000 if times else 0.0


def _is_retry(event: bytes, request: str) -> bool:
    return b'"sfmc.import.retrying"' in event and request.encode() in event


def _names(stack: RunningSystem, requests: list[str]) -> set[str]:
    return {name for request in requests for name in stack.names(request)}

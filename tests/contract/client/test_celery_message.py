"""The message of a client is the one that Celery itself sends for the same request."""

import base64
import json
from typing import Any

import pytest
import redis as redis_py
from celery import Celery
from celery.utils.saferepr import saferepr
from hypothesis import given
from hypothesis import strategies as st
from kombu import Queue

from sfmc_import.client import Client
from sfmc_import.request import FileInfo, StartRequest, celery_headers
from sfmc_local.redis_server import Valkey

FULL = {
    "file": FileInfo(location="/in/d'été", name='it"s.csv', size=3, modified_ns=7, version="v1"),
    "event_id": "e1",
    "source": "shop",
    "force": True,
    "reason": "the file was wrong\nagain",
}
ORIGIN = "origin"
"""The one header that differs: Celery writes process and host, a client its product."""


def sent_by_celery(server: Valkey, request: StartRequest) -> None:
    names = {"request_id": request.request_id, "customer_key": request.customer_key, "mid": request.mid, "attempt": "1"}
    with Celery("reference", broker=server.celery_url, set_as_current=False) as app:
        app.conf.update(
            task_queues=[Queue("imports")],
            task_create_missing_queues=False,
            task_default_queue="imports",
            broker_transport_options={"priority_steps": [0]},
        )
        app.send_task(
            "imports.start",
            kwargs=request.as_message(),
            task_id=request.request_id,
            queue="imports",
            headers=names,
            ignore_result=True,
            retry=False,
        )


@pytest.mark.parametrize("fields", [{}, FULL], ids=["least", "full"])
def test_body_headers_and_delivery_are_those_of_celery(
    fields: dict[str, Any], redis: redis_py.Redis, redis_server: Valkey
) -> None:
    request = StartRequest(request_id="r-1", customer_key="contacts", mid="510001234", **fields)
    with Client(redis_server.url) as client:
        client.submit(request_id="r-1", customer_key="contacts", mid="510001234", **fields)
    sent_by_celery(redis_server, request)

    theirs, ours = (json.loads(entry) for entry in redis.lrange("imports", 0, -1))
    assert base64.b64decode(ours["body"]) == base64.b64decode(theirs["body"])
    assert {**ours["headers"], ORIGIN: ""} == {**theirs["headers"], ORIGIN: ""}
    assert ours["headers"][ORIGIN] == "sfmc-import"
    fixed = ("correlation_id", "delivery_mode", "delivery_info", "priority", "body_encoding")
    assert {name: ours["properties"][name] for name in fixed} == {name: theirs["properties"][name] for name in fixed}
    assert (ours["content-type"], ours["content-encoding"]) == (theirs["content-type"], theirs["content-encoding"])


@given(text=st.text(min_size=1, max_size=100), size=st.integers(min_value=0), force=st.booleans())
def test_the_arguments_for_people_are_written_as_celery_writes_them(text: str, size: int, force: bool) -> None:
    file = FileInfo(location=text, name=text, size=size)
    request = StartRequest(request_id="r", customer_key="k", mid="1", file=file, reason=text, force=force)

    assert celery_headers(request)["kwargsrepr"] == saferepr(request.as_message(), 1024)

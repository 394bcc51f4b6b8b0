"""A backlog in the ledger is worked off without a beat: each sweep has the next one stand among its wake-ups."""

import redis
from celery import Celery

from sfmc_import.ledger import LedgerSettings, RedisLedger
from sfmc_import.request import StartRequest
from tests.support.processes import running_system
from tests.support.waiting import eventually

REQUESTS, BATCH = 13, 4


def test_one_sweep_leads_to_the_start_of_all_that_is_due() -> None:
    with running_system({"SFMC_SWEEP_BATCH": str(BATCH)}) as stack:
        keys = [f"waits-{number}" for number in range(REQUESTS)]
        for key in keys:
            stack.sandbox.control.define(key, FileSpec=f"{key}.csv")
        with redis.Redis.from_url(stack.valkey.url) as client:
            ledger = RedisLedger(client, LedgerSettings(accept_grace=0.0))
            for key in keys:
                ledger.accept(StartRequest(request_id=key, customer_key=key, mid=stack.env["SFMC_ACCOUNT_ID"]))
        stack.worker()
        with Celery("beat-for-once", broker=stack.valkey.celery_url, set_as_current=False) as app:
            app.send_task("imports.sweep", queue="imports.upkeep", ignore_result=True)

        eventually(lambda: len(stack.sandbox.control.performs()) == REQUESTS, 30, "every request started")

"""Celery's own commands for workers, where SFMC_REMOTE_CONTROL allows them."""

import subprocess
import sys

import pytest

from sfmc_import.redis_rights import rules
from tests.support.processes import RunningSystem, running_system

MORE_RIGHTS = ("+@pubsub", "+brpop", "&/0.celery.pidbox", "~*celery.pidbox*")


def celery(stack: RunningSystem, *command: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "celery", "-A", "sfmc_import.celery_app", *command]
    return subprocess.run(program, env=stack.env, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.nightly
@pytest.mark.parametrize("prefix", ["sfmc-import:", "acme:"])
def test_inspect_reaches_a_worker_that_may_be_controlled_with_the_rights_that_the_page_names(prefix: str) -> None:
    with running_system({"SFMC_PREFIX": prefix, "SFMC_REMOTE_CONTROL": "true"}) as stack:
        channels = [rule.replace("&/0", "&acme:/0") if prefix == "acme:" else rule for rule in MORE_RIGHTS]
        rights = ("reset", ">pw", *rules("worker", prefix), *channels)
        stack.client.execute_command("ACL", "SETUSER", "worker", *rights)
        stack.worker("-n", "w1@%h", SFMC_REDIS_URL=f"redis://worker:pw@127.0.0.1:{stack.valkey.port}/0")

        answer = celery(stack, "inspect", "ping", "--timeout", "5")

    assert (answer.returncode, "1 node online" in answer.stdout) == (0, True)


@pytest.mark.nightly
def test_inspect_reaches_no_worker_by_default() -> None:
    with running_system() as stack:
        stack.worker()

        answer = celery(stack, "inspect", "ping", "--timeout", "5")

    assert answer.returncode != 0

"""One client, many callers: each request is recorded once and has one message."""

import json
import subprocess
import sys

import pytest
import redis as redis_py

from sfmc_local.redis_server import Valkey
from tests.integration.client.programs import CLOSING_PROGRAMS, EACH, PROGRAMS, WORKERS


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_request_of_many_callers_is_recorded_once_and_has_one_message(
    name: str, redis: redis_py.Redis, redis_server: Valkey
) -> None:
    command = [sys.executable, "-m", "tests.integration.client.programs", name, redis_server.url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)

    assert (done.returncode, done.stderr) == (0, "")
    recorded = [json.loads(fields["event"])["data"]["request_id"] for _, fields in redis.xrange("sfmc-import:events")]
    sent = [json.loads(entry)["headers"]["id"] for entry in redis.lrange("imports", 0, -1)]
    assert len(recorded) == WORKERS * EACH
    assert sorted(sent) == sorted(set(recorded))


@pytest.mark.parametrize("name", CLOSING_PROGRAMS)
def test_a_client_that_is_closed_while_it_is_used_breaks_no_caller_and_leaves_no_socket_open(
    name: str, redis: redis_py.Redis, redis_server: Valkey
) -> None:
    command = [sys.executable, "-W", "error", "-m", "tests.integration.client.programs", name, redis_server.url]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)

    assert (done.returncode, done.stderr) == (0, "")
    assert redis.llen("imports") > 0

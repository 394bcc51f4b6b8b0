"""The embedded server as a real process: its persistence, its privacy, its end."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import redis as redis_py

from sfmc_local.redis_server import NoServerError, Valkey, find_server, redis_url, version_of
from tests.support.waiting import eventually


def client_of(server: Valkey) -> redis_py.Redis:
    return redis_py.Redis.from_url(server.url, decode_responses=True, socket_timeout=10)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").exists() and " Z " in Path(f"/proc/{pid}/stat").read_text()


def test_it_runs_with_the_persistence_and_eviction_policy_of_production(own_valkey):
    settings = client_of(own_valkey).config_get("*")

    assert settings["appendonly"] == "yes"
    assert settings["appendfsync"] == "everysec"
    assert settings["maxmemory-policy"] == "noeviction"


def test_only_its_owner_can_reach_the_socket(own_valkey):
    assert stat.S_IMODE(own_valkey.socket_path.stat().st_mode) == 0o700
    assert stat.S_IMODE(own_valkey.socket_path.parent.stat().st_mode) == 0o700


def test_what_was_written_survives_an_orderly_restart(own_valkey):
    client_of(own_valkey).set("kept", "yes", ex=60)

    own_valkey.restart()

    assert client_of(own_valkey).get("kept") == "yes"


def test_what_was_synced_survives_a_kill(own_valkey):
    client = client_of(own_valkey)
    client.set("kept", "yes", ex=60)
    if version_of(find_server()) < (7, 2):
        pytest.skip("WAITAOF came with Redis 7.2")
    client.execute_command("WAITAOF", 1, 0, 5000)

    own_valkey.kill()
    own_valkey.start()

    assert client_of(own_valkey).get("kept") == "yes"


def test_the_same_data_are_reached_over_tcp(own_valkey):
    client_of(own_valkey).set("seen", "over tcp", ex=60)

    assert redis_py.Redis.from_url(own_valkey.tcp_url, decode_responses=True).get("seen") == "over tcp"


def test_it_ends_when_its_parent_is_killed():
    program = "from sfmc_local.redis_server import Valkey; s = Valkey().start(); print(s.pid, flush=True); input()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe) as parent:
        pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)

    eventually(lambda: is_gone(pid), within=60, description="the server has ended")


def test_an_address_from_the_environment_wins_over_the_embedded_server():
    with redis_url({"SFMC_REDIS_URL": "redis://redis.example:6379/0"}) as url:
        assert url == "redis://redis.example:6379/0"


def test_without_an_address_an_embedded_server_is_started_and_ended():
    with redis_url({}) as url:
        assert redis_py.Redis.from_url(url).ping()

    with pytest.raises(redis_py.ConnectionError):
        redis_py.Redis.from_url(url).ping()


def test_a_server_that_cannot_start_names_the_reason(tmp_path):
    broken = Valkey(tmp_path, options={"appendfsync": "sometimes"})

    with pytest.raises(NoServerError, match="did not start"):
        broken.start()

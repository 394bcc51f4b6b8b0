"""Wrong input and unavailable services end in one clear line or an event; and the rules of the policy file."""

import json
import socketserver
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from sfmc_local.processes import stop
from tests.e2e.test_worker_logs import records
from tests.support.event_schema import problems_in
from tests.support.processes import RunningSystem, running_system
from tests.support.sandbox_server import ACCOUNT_ID, PASSWORD, USERNAME
from tests.support.waiting import eventually

ROWS = "Key,Value\n1,one\n"
OTHER_MID = 510001235
LONG = 600
"""Seconds of a run that ends when the test lets the sandbox's clock go on."""

POLICY = """
[[definition]]
customer_key = "drops"
when_too_soon = "drop"

[[definition]]
customer_key = "keeps"
on_error = "keep"

[[definition]]
customer_key = "queue"
when_mismatch = "start"

[[definition]]
customer_key = "frees"
on_error = "free"
error_pause = "1s"
"""


@contextmanager
def sound_stack(settings: Mapping[str, str] | None = None, options: Sequence[str] = ()) -> Iterator[RunningSystem]:
    """A system whose logs and events are judged in the end: records of the schema, and never a traceback."""
    with running_system(settings, options) as stack:
        yield stack
        assert problems_in(stack.client) == []
        stack.close()
        logs = list(stack.folder.glob("*-*.log"))
        assert logs
        for log in logs:
            assert tracebacks(log) == [], "\n".join(tracebacks(log))
            assert records(log) is not None


def tracebacks(log: Path) -> list[str]:
    """Give the lines with a traceback: they alone say what went wrong."""
    return [line for line in log.read_text().splitlines() if "Traceback" in line]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    policy = tmp_path_factory.mktemp("policy") / "policy.toml"
    policy.write_text(POLICY)
    options = ["--token-lifetime", "2", "--account-id", str(ACCOUNT_ID), "--account-id", str(OTHER_MID)]
    with sound_stack({"SFMC_CONFIG": str(policy)}, options) as made:
        made.worker()
        made.beat()
        yield made


@pytest.fixture
def client(stack: RunningSystem) -> Iterator[Celery]:
    with Celery("somebody-else", broker=stack.valkey.celery_url, set_as_current=False) as app:
        yield app


def send(client: Celery, key: str, **more: object) -> str:
    return str(client.send_task("imports.start", kwargs={"customer_key": key, **more}, queue="imports").id)


def define(stack: RunningSystem, key: str, **properties: Any) -> None:
    stack.sandbox.control.define(key, **{"FileSpec": f"{key}.csv", **properties})
    stack.sandbox.drop(f"{key}.csv", ROWS)


def version(name: str, number: int) -> dict[str, Any]:
    """A file as a producer announces it, with its content's version."""
    return {"location": "/in", "name": name, "version": f"v{number}"}


def performs(stack: RunningSystem, key: str) -> int:
    return len(stack.sandbox.control.performs(key))


def test_tokens_that_expire_at_any_time_cost_no_start_and_no_second_one(stack: RunningSystem, client: Celery) -> None:
    define(stack, "tokens")
    for number in range(3):
        stack.sandbox.control.expire_tokens()
        request = send(client, "tokens", file=version("tokens.csv", number))
        stack.sandbox.control.expire_tokens()
        stack.await_event("completed", request)

    assert performs(stack, "tokens") == 3


def test_a_definition_of_another_business_unit_is_started_there_and_only_there(
    stack: RunningSystem, client: Celery
) -> None:
    stack.sandbox.control.define("abroad", mid=OTHER_MID, FileSpec="abroad.csv")
    stack.sandbox.drop("abroad.csv", ROWS, mid=OTHER_MID)

    there = send(client, "abroad", mid=str(OTHER_MID))
    here = send(client, "abroad")
    nowhere = send(client, "abroad", mid="7")

    assert stack.await_event("completed", there)["source"] == f"/sfmc-import/{OTHER_MID}"
    assert stack.await_event("rejected", here)["data"]["code"] == "43010"
    assert stack.await_event("rejected", nowhere)["data"]["code"] == "other_business_unit"
    assert [perform["mid"] for perform in stack.sandbox.control.performs("abroad")] == [OTHER_MID]


def test_a_forced_start_does_not_wait_for_the_window_but_for_the_run(stack: RunningSystem, client: Celery) -> None:
    define(stack, "forced", MaxImportFrequency=1)
    first = send(client, "forced")
    stack.await_event("completed", first)
    stack.sandbox.control.add_fault("slow_run", customer_key="forced", seconds=LONG, count=1)

    inside = send(client, "forced", force=True, reason="the file was wrong")
    stack.await_event("started", inside)
    during = send(client, "forced", force=True, reason="wrong again")
    stack.await_event("deferred", during)
    stack.sandbox.control.advance(LONG)

    stack.await_event("completed", during)
    assert "deferred" not in stack.names(inside)
    assert stack.names(during)[:4] == ["accepted", "deferred", "starting", "started"]
    ended = [event["data"]["request_id"] for event in stack.events() if event["type"].endswith(".completed")]
    assert ended.index(inside) < ended.index(during)
    assert performs(stack, "forced") == 3


def test_a_file_inside_the_window_is_dropped_where_the_policy_file_says_so(
    stack: RunningSystem, client: Celery
) -> None:
    define(stack, "drops", MaxImportFrequency=1)
    stack.await_event("started", send(client, "drops", file=version("drops.csv", 1)))

    dropped = stack.await_event("duplicate", send(client, "drops", file=version("drops.csv", 2)))

    assert dropped["data"]["why"] == "too_soon"


def test_an_import_that_failed_keeps_or_frees_its_window_as_the_policy_file_says(
    stack: RunningSystem, client: Celery
) -> None:
    last = {}
    for key in ("keeps", "frees"):
        define(stack, key, MaxImportFrequency=1)
        stack.sandbox.control.add_fault("error_run", customer_key=key, count=1)
        stack.await_event("import_failed", send(client, key, file=version(f"{key}.csv", 1)))
        last[key] = send(client, key, file=version(f"{key}.csv", 2))

    assert stack.await_event("deferred", last["keeps"])["data"]["opens_in"] > 3000
    stack.await_event("completed", last["frees"])


def test_waiting_files_of_one_name_become_one_start_and_others_follow_in_order(
    stack: RunningSystem, client: Celery
) -> None:
    define(stack, "queue")
    stack.sandbox.control.add_fault("slow_run", customer_key="queue", seconds=LONG, count=1)
    stack.await_event("started", send(client, "queue", file=version("first.csv", 1)))

    older = send(client, "queue", file=version("same.csv", 1))
    stack.await_event("deferred", older)
    other = send(client, "queue", file=version("other.csv", 1))
    stack.await_event("deferred", other)
    newer = send(client, "queue", file=version("same.csv", 2))

    superseded = stack.await_event("duplicate", older)
    stack.sandbox.control.advance(LONG)
    stack.await_event("completed", other)
    stack.await_event("completed", newer)
    started = [event["data"]["request_id"] for event in stack.events() if event["type"].endswith(".started")]
    assert superseded["data"]["superseded_by"] == newer
    assert started.index(other) < started.index(newer)
    assert performs(stack, "queue") == 3


@pytest.mark.nightly
def test_a_service_that_cannot_be_reached_makes_requests_wait_and_then_give_up() -> None:
    times = {"SFMC_CALL_RETRY_SECONDS": "0.2", "SFMC_RETRY_DEADLINE": "6"}
    with sound_stack(times | {"SFMC_SOAP_URL": "http://127.0.0.1:9/Service.asmx"}) as stack:
        stack.worker()
        stack.beat()
        request = json.loads(stack.run("start", "daily", "--json").stdout)["request_id"]

        waiting = stack.await_event("retrying", request)
        ended = stack.await_event("gave_up", request)
        stack.await_idle()

    assert "127.0.0.1:9" in waiting["data"]["text"]
    assert ended["data"]["code"] == waiting["data"]["code"]


def test_wrong_credentials_are_logged_as_an_error_and_requests_wait_until_they_are_right() -> None:
    with sound_stack() as stack:
        define(stack, "daily")
        locked_out = stack.worker(SFMC_CLIENT_SECRET="wrong")
        stack.beat()
        request = json.loads(stack.run("start", "daily", "--json").stdout)["request_id"]
        waiting = stack.await_event("retrying", request)
        stop(locked_out, within=60)
        logged = [each for each in records(stack.log_of(locked_out)) if each.get("code") == "login_failed"]
        doctor = stack.run("doctor", SFMC_CLIENT_SECRET="wrong")
        assert "gave_up" not in stack.names(request)

        stack.worker()
        stack.await_event("completed", request)

    assert waiting["data"]["code"] == "login_failed"
    assert any(each["level"] == "error" for each in logged)
    assert doctor.returncode == 1
    assert "FAIL  login" in doctor.stdout
    assert "SFMC_CLIENT_SECRET" in doctor.stdout


def test_the_legacy_login_with_user_and_password_goes_the_whole_way() -> None:
    legacy = {"SFMC_AUTH_URL": "", "SFMC_CLIENT_ID": "", "SFMC_CLIENT_SECRET": ""}
    with sound_stack({**legacy, "SFMC_USERNAME": USERNAME, "SFMC_PASSWORD": PASSWORD}) as stack:
        define(stack, "daily")
        worker = stack.worker()
        stack.beat()

        done = stack.run("start", "daily", "--wait")

        assert done.returncode == 0, done.stdout + done.stderr
        assert performs(stack, "daily") == 1
        assert PASSWORD not in stack.log_of(worker).read_text()


@pytest.mark.nightly
def test_redis_that_goes_and_comes_back_costs_no_request_and_no_traceback() -> None:
    with sound_stack() as stack:
        define(stack, "daily")
        worker = stack.worker()
        pulse = stack.folder / "pulse-of-beat"
        beat = stack.start("beat", SFMC_HEARTBEAT_FILE=str(pulse))
        eventually(lambda: pulse.is_file() and pulse.read_text().startswith("ready"), 60, "beat is ready")
        stack.sandbox.control.add_fault("slow_run", customer_key="daily", seconds=2, count=1)
        request = json.loads(stack.run("start", "daily", "--json").stdout)["request_id"]
        stack.await_event("started", request)

        stack.valkey.kill()
        refused = stack.run("start", "daily")
        eventually(lambda: "broker_unreachable" in stack.log_of(beat).read_text(), 60, "beat notices")
        stack.valkey.restart()

        stack.await_event("completed", request)
        assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 2)
        assert (worker.poll(), beat.poll()) == (None, None)
        assert stop(worker, within=60) == 0


class OldRedis(socketserver.StreamRequestHandler):
    """Greets as a Redis of long ago does: it does not know how."""

    def handle(self) -> None:
        while line := self.rfile.readline():
            words = [self.rfile.read(int(self.rfile.readline()[1:]) + 2)[:-2] for _ in range(int(line[1:]))]
            self.wfile.write(b"+PONG\r\n" if words == [b"PING"] else b"-ERR unknown command '%s'\r\n" % words[0])


@pytest.fixture
def old_redis() -> Iterator[str]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), OldRedis) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"redis://127.0.0.1:{server.server_address[1]}/0"
        server.shutdown()


def test_a_redis_that_is_too_old_is_refused_in_one_line(stack: RunningSystem, old_redis: str) -> None:
    for command in ("worker", "beat"):
        done = stack.run(command, SFMC_REDIS_URL=old_redis)
        logged = [json.loads(line) for line in done.stderr.splitlines()]
        refusals = [each for each in logged if each["event"] == "redis_check_failed"]
        assert (done.returncode, len(refusals)) == (1, 1), done.stderr
        assert refusals[0]["detail"] == "Redis before 6.0 is too old"
        assert "6.2" in refusals[0]["fix"]
    doctor = stack.run("doctor", SFMC_REDIS_URL=old_redis)
    start = stack.run("start", "daily", SFMC_REDIS_URL=old_redis)

    assert "Redis before 6.0 is too old" in doctor.stdout
    assert (doctor.returncode, start.returncode) == (1, 1)
    assert "Traceback" not in doctor.stderr + start.stderr
    assert len(start.stderr.splitlines()) <= 2, start.stderr

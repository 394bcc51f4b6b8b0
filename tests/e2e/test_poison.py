"""Messages that no worker can handle, and requests that kill their workers: real processes, both pools."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from celery import Celery

from sfmc_import.states import COMPLETED, TERMINAL
from sfmc_local.processes import spawn, stop
from tests.e2e import crashing_tasks
from tests.support.processes import RunningSystem, running_system
from tests.support.waiting import eventually

T = TypeVar("T")
BRIEF = {
    "SFMC_CONNECT_TIMEOUT": "0.3",
    "SFMC_READ_TIMEOUT": "0.7",
    "SFMC_LEASE_SECONDS": "3",
    "SFMC_RESULTS_DELAY": "2",
    "SFMC_RECONCILE_DEADLINE": "3",
}
"""Short leases: what a dead worker held is taken up within seconds."""


class Kept:
    """A system whose worker is started again whenever it dies, as a container platform does."""

    def __init__(self, stack: RunningSystem, pool: str) -> None:
        self.stack, self.log, self.deadly = stack, stack.folder / "kept.log", stack.folder / "deadly"
        self.deadly.mkdir()
        self._pool = pool
        options = [
            "-q",
            "-A",
            "sfmc_import.celery_app",
            "worker",
            "-c",
            "4",
            "-I",
            "tests.e2e.crashing_tasks",
            "-l",
            "INFO",
        ]
        self._program = [sys.executable, "-m", "celery", *options, "--without-gossip", "--without-mingle"]
        self._worker: subprocess.Popen[bytes] | None = None

    def watch(self) -> None:
        """Start the worker unless it lives."""
        if self._worker is None or self._worker.poll() is not None:
            environment = self.stack.env | {crashing_tasks.FOLDER: str(self.deadly), "SFMC_POOL": self._pool}
            with self.log.open("ab") as output:
                self._worker = spawn(self._program, env=environment, output=output, errors=output)

    def until(self, probe: Callable[[], T], within: float, description: str) -> T:
        """Wait as `eventually`, keeping a worker alive meanwhile."""

        def look() -> T:
            self.watch()
            return probe()

        return eventually(look, within, description)

    def last(self, request: str, name: str) -> dict[str, Any]:
        """Wait for an event of a request and give the last one that there is; another end fails at once."""

        def has_ended() -> bool:
            names = self.stack.names(request)
            assert name in names or not set(TERMINAL) & set(names), names
            return name in names

        self.until(has_ended, 240, f"{request} is {name}")
        data: dict[str, Any] = self.stack.events(request)[-1]["data"]
        return data

    def letters(self, task: str = "") -> list[dict[str, Any]]:
        """What is set aside, as the command lists it: of one task, or all."""
        done = self.stack.run("dead-letters", "--json")
        assert done.returncode == 0, done.stderr
        found = [json.loads(line) for line in done.stdout.splitlines()]
        return [each for each in found if task in {"", each["task"]}]

    def end(self) -> None:
        if self._worker is not None:
            stop(self._worker, within=60)


@pytest.fixture(scope="module", params=["threads", pytest.param("prefork", marks=pytest.mark.nightly)])
def kept(request: pytest.FixtureRequest) -> Iterator[Kept]:
    with running_system(BRIEF) as stack:
        made = Kept(stack, request.param)
        stack.beat()
        yield made
        made.end()


@pytest.fixture
def send(kept: Kept) -> Iterator[Callable[..., str]]:
    with Celery("somebody-else", broker=kept.stack.valkey.celery_url, set_as_current=False) as app:
        yield lambda task, **arguments: str(app.send_task(task, kwargs=arguments, queue="imports").id)


def test_what_no_worker_can_handle_is_set_aside_with_its_bytes_and_the_rest_goes_on(
    kept: Kept, send: Callable[..., str]
) -> None:
    stack, key = kept.stack, "behind-the-poison"
    stack.sandbox.control.define(key)
    stack.client.lpush("imports", b"\x80 neither text nor JSON", b'{"body": 1}')
    send("imports.finish", customer_key=key)
    send("imports.start", colour="red")
    send("imports.start", customer_key=key, force=True)
    with Celery(broker=stack.valkey.celery_url, set_as_current=False) as app:
        app.send_task("imports.start", args=[{key}], queue="imports", serializer="pickle")

    request = send("imports.start", customer_key=key)
    kept.last(request, "started")

    found = [each for each in kept.letters() if each["reason"] != "returned_too_often"]
    reasons = ["invalid_request", "invalid_request", "invalid_task", "undecodable", "undecodable", "unknown_task"]
    assert sorted(each["reason"] for each in found) == reasons
    assert stack.run("dead-letters", "show", found[1]["id"], "--raw").stdout == '{"body": 1}'
    details = " ".join(each["detail"] for each in found)
    assert "customer_key is missing" in details
    assert "force needs a reason" in details
    assert len(stack.sandbox.control.performs(key)) == 1
    assert stack.run("dead-letters", "delete", *(each["id"] for each in found)).returncode == 0
    assert "Traceback" not in kept.log.read_text()


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_what_kills_its_workers_ends_truly_and_blocks_nothing_else(
    kept: Kept, send: Callable[..., str], tmp_path: Path
) -> None:
    stack, note = kept.stack, tmp_path / "note"
    for key in ("kills-early", "kills-late"):
        stack.sandbox.control.define(key, UpdateType="AddAndUpdate")
    # Its worker may die between its intent and its Perform: the policy allows to repeat what surely began no run.
    stack.sandbox.control.define("healthy", UpdateType="Overwrite")
    stack.sandbox.control.add_fault("drop_after_applying", customer_key="kills-late", count=1)
    late = send("imports.start", customer_key="kills-late")
    kept.last(late, "reconciling")
    for name in ("kills-late", "kills-early", "kills-itself"):
        (kept.deadly / name).touch()
    send("deadly.unless_fixed", name="kills-itself", note=str(note))
    early = send("imports.start", customer_key="kills-early")
    healthy = send("imports.start", customer_key="healthy")

    assert kept.last(early, "gave_up")["code"] == "worker_lost"
    assert kept.last(late, "start_unknown")["code"] == "worker_lost"
    kept.last(healthy, "started")
    counts = {key: len(stack.sandbox.control.performs(key)) for key in ("healthy", "kills-early", "kills-late")}
    assert counts == {"healthy": 1, "kills-early": 0, "kills-late": 1}

    [letter] = kept.until(lambda: kept.letters("deadly.unless_fixed"), 60, "the message that kills is set aside")
    assert letter["reason"] == "returned_too_often"
    (kept.deadly / "kills-itself").unlink()
    assert stack.run("dead-letters", "replay", letter["id"]).returncode == 0
    kept.until(note.exists, 60, "the replayed message runs")
    assert kept.letters("deadly.unless_fixed") == []
    assert "Traceback" not in kept.log.read_text()


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_a_run_whose_answer_kills_its_workers_is_followed_no_more_and_others_are(
    kept: Kept, send: Callable[..., str]
) -> None:
    stack, keys = kept.stack, ["killing-answer", "beside-it", "beside-it-too"]
    for key in keys:
        stack.sandbox.control.define(key)
    (kept.deadly / f"{crashing_tasks.ANSWER}{keys[0]}").touch()

    killer, *healthy = [send("imports.start", customer_key=key) for key in keys]

    assert kept.last(killer, "follow_timed_out")["code"] == "worker_lost"
    for request in healthy:
        kept.until(lambda request=request: set(stack.names(request)) & {*COMPLETED, "import_failed"}, 60, "it ended")
    assert [len(stack.sandbox.control.performs(key)) for key in keys] == [1, 1, 1]
    assert kept.log.read_text().count("follow_lost") == 1

    (kept.deadly / f"{crashing_tasks.ANSWER}{keys[0]}").unlink()
    assert stack.run("follow", stack.events(killer)[-1]["data"]["task_id"]).returncode in {0, 1}
    kept.until(lambda: set(stack.names(killer)) & {*COMPLETED, "import_failed"}, 60, "it is followed to its end")

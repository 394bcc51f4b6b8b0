"""What an operator does by command about ambiguous starts and dead letters, over the running system."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from sfmc_transport import Keys
from tests.e2e.test_commands_over_the_api import NOWHERE, described
from tests.e2e.test_http_api import port_of
from tests.support.processes import RunningSystem, running_system
from tests.support.waiting import eventually

LATE = 9
"""Seconds until the row of an applied start shows: longer than a worker looks for it."""


@dataclass(frozen=True)
class Doubt:
    """A running system with requests that ended as start_unknown: one was applied; `kept` is resolved by no test."""

    stack: RunningSystem
    applied: str
    lost: str
    unseen: str
    kept: str
    other: str

    def perform(self) -> str:
        [perform] = self.stack.sandbox.control.performs("applied")
        return perform["task_id"]

    def resolve(self, *words: str) -> tuple[int, str]:
        """Run the command; its exit code and its output."""
        done = self.stack.run("resolve", *words)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout + done.stderr


def start(stack: RunningSystem, key: str, *options: str) -> str:
    done = stack.run("start", key, "--json", "--record-only", *options)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    return str(result["request_id"])


@pytest.fixture(scope="module")
def doubt() -> Iterator[Doubt]:
    with running_system({"SFMC_RECONCILE_DEADLINE": "2"}, least_rights=True) as stack:
        control = stack.sandbox.control
        for key in ("applied", "lost", "unseen", "kept", "other"):
            control.define(key, FileSpec="a.csv", UpdateType="AddAndUpdate", MaxImportFrequency=1)
        stack.sandbox.drop("a.csv", "Key,Value\n1,one\n")
        (stack.folder / "a.csv").write_text("Key,Value\n1,one\n")
        control.add_fault("late_row", customer_key="applied", seconds=LATE, count=1)
        control.add_fault("drop_after_applying", customer_key="applied", count=1)
        for key in ("lost", "unseen", "kept"):
            control.add_fault("drop_before_applying", customer_key=key, count=1)
        stack.worker()
        stack.beat()
        applied = start(stack, "applied")
        lost = start(stack, "lost", "--file", str(stack.folder / "a.csv"))
        unseen = start(stack, "unseen")
        kept = start(stack, "kept")
        other = stack.await_event("completed", start(stack, "other"))["data"]["task_id"]
        # As if somebody else had started it.
        stack.client.delete(*stack.client.scan_iter(match=f"*:t:*:{other}"))
        for request in (applied, lost, unseen, kept):
            stack.await_event("start_unknown", request)
        yield Doubt(stack, applied, lost, unseen, kept, other)
        for log in stack.folder.glob("*.log"):
            assert "Traceback" not in log.read_text()


def test_an_unproved_start_is_shown_with_its_request_and_what_to_type(doubt: Doubt) -> None:
    shown = doubt.stack.run("events", "--type", "start_unknown").stdout

    for request in (doubt.applied, doubt.kept):
        assert f"; if it ran: sfmc-import resolve {request} --task-id N; if it did not: sfmc-import resolve" in shown


def test_a_start_that_was_applied_is_followed_to_its_end_once_its_task_is_given(doubt: Doubt) -> None:
    def resolved() -> tuple[int, str] | None:
        answer = doubt.resolve(doubt.applied, "--task-id", doubt.perform(), "--operator", "ada")
        return answer if answer[0] == 0 else None

    code, shown = eventually(resolved, 60, "its row appears, and it is resolved")
    ended = doubt.stack.await_event("completed", doubt.applied)
    started = doubt.stack.await_event("started", doubt.applied)
    assert (code, ended["data"]["rows_total"]) == (0, 1)
    assert f"sfmc-import follow {doubt.perform()}" in shown
    assert (started["data"]["matched"], started["data"]["operator"]) == ("operator", "ada")

    again, complaint = doubt.resolve(doubt.applied, "--not-started", "--reason", "a mistake")
    stolen, whose = doubt.resolve(doubt.kept, "--task-id", doubt.perform())
    assert (again, stolen) == (1, 1)
    assert f"is completed with Task.ID {doubt.perform()}; only start_unknown can be resolved" in complaint
    assert f"is the run of request {doubt.applied}" in whose


def test_a_start_that_was_not_applied_frees_its_window_and_its_file(doubt: Doubt) -> None:
    stack, path = doubt.stack, str(doubt.stack.folder / "a.csv")
    before = start(stack, "lost", "--file", path)
    stack.await_event("duplicate", before)

    code, shown = doubt.resolve(doubt.lost, "--not-started", "--reason", "nothing in the history")
    # The one that was a duplicate meanwhile is taken up.
    stack.await_event("completed", before)
    after = start(stack, "lost", "--file", path)
    stack.await_event("duplicate", after)
    said = stack.await_event("not_started", doubt.lost)
    assert code == 0
    assert f"sfmc-import replay {doubt.lost}" in shown
    assert said["data"]["reason"] == "nothing in the history"
    assert said["data"]["operator"]
    assert json.loads(stack.run("show", doubt.lost, "--json").stdout)["state"] == "not_started"
    assert len(stack.sandbox.control.performs("lost")) == 1


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["missing", "--task-id", "1"], 1, "there is no request missing"),
        (["missing"], 2, "either --task-id N or --not-started"),
        (["missing", "--task-id", "1", "--not-started"], 2, "either --task-id N or --not-started"),
        (["missing", "--not-started"], 2, "--not-started needs --reason"),
        (["KEPT", "--task-id", "many"], 2, "a Task.ID is a whole number"),
        (["KEPT", "--task-id", "999999999"], 1, "Marketing Cloud shows no run 999999999"),
        (["KEPT", "--task-id", "OTHER"], 1, "is one of the definition other, not of kept"),
        (["KEPT", "--task-id", "1", "--unchecked"], 2, "needs --reason TEXT"),
        (["KEPT", "--not-started", "--unchecked", "--reason", "why"], 2, "--unchecked is for --task-id N"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_resolved_is_said_in_one_line(doubt: Doubt, words: list[str], code: int, complaint: str) -> None:
    named = {"KEPT": doubt.kept, "OTHER": doubt.other}
    ended, shown = doubt.resolve(*(named.get(word, word) for word in words))

    assert ended == code
    assert complaint in shown.splitlines()[0]


@pytest.mark.nightly
def test_a_run_that_cannot_be_asked_for_is_taken_unchecked_with_a_reason_alone(doubt: Doubt) -> None:
    doubt.stack.sandbox.control.add_fault("http_500", operation="Retrieve", count=99)
    refused, complaint = doubt.resolve(doubt.unseen, "--task-id", "42")
    taken, _ = doubt.resolve(doubt.unseen, "--task-id", "42", "--unchecked", "--reason", "seen in the history")
    doubt.stack.sandbox.control.clear_faults()

    assert (refused, taken) == (1, 0)
    assert "Marketing Cloud cannot be asked for run 42" in complaint
    assert doubt.stack.await_event("started", doubt.unseen)["data"]["reason"] == "seen in the history"


def test_dead_letters_are_listed_shown_and_deleted_and_an_unknown_id_is_one_line(doubt: Doubt) -> None:
    stack = doubt.stack
    fields = {"entry": b"\x80?", "queue": "imports", "reason": "undecodable", "detail": "not JSON"}
    letter = stack.client.xadd(Keys().dead_letters, fields).decode()  # type: ignore[arg-type, union-attr]

    listed = stack.run("dead-letters").stdout
    shown = json.loads(stack.run("dead-letters", "show", letter, "--json").stdout)
    homeless = stack.run("dead-letters", "replay", "1-1")
    gone = stack.run("dead-letters", "delete", "1-1", letter, "1-2", "--json")
    stack.client.xadd(Keys().dead_letters, fields)  # type: ignore[arg-type]
    nothing = stack.run("dead-letters", "replay")
    assert stack.run("dead-letters", "replay", "--all").returncode == 0
    back = eventually(
        lambda: json.loads(stack.run("dead-letters", "--json").stdout or "{}"), 60, "it is a dead letter again"
    )
    assert stack.run("dead-letters", "delete", back["id"]).returncode == 0

    assert letter in listed
    assert f"1 dead letter\nlook at one with: sfmc-import dead-letters show {letter}\n" in listed
    assert " UTC  " in listed
    assert (shown["entry_base64"], shown["queue"], shown["reason"]) == ("gD8=", "imports", "undecodable")
    assert (homeless.returncode, nothing.returncode, gone.returncode) == (1, 2, 1)
    assert [json.loads(line)["done"] for line in gone.stdout.splitlines()] == ["failed", "deleted", "failed"]
    assert homeless.stderr == "sfmc-import: there is no dead letter 1-1\n  list them with: sfmc-import dead-letters\n"
    assert back["id"] != letter
    assert stack.run("dead-letters").stdout == "0 dead letters\n"


# --- A bad end that is dealt with.

REASON = ("--reason", "the rows were sent by hand")


def failed(stack: RunningSystem, key: str) -> str:
    """Start a definition whose run ends in Error."""
    control = stack.sandbox.control
    control.define(key)
    control.add_fault("error_run", "Perform", customer_key=key, count=1)
    request = start(stack, key)
    stack.await_event("import_failed", request)
    return request


def held(stack: RunningSystem, key: str) -> str:
    """Start a definition that is paused."""
    stack.sandbox.control.define(key)
    assert stack.run("pause", key, "--reason", "to look first").returncode == 0
    return start(stack, key)


def settled(stack: RunningSystem, request: str) -> list[dict[str, Any]]:
    return [each["data"] for each in stack.events(request) if each["type"] == "sfmc.import.settled"]


def listed_as_failed(stack: RunningSystem) -> list[str]:
    lines = stack.run("status", "--failures", "--json").stdout.splitlines()
    return [json.loads(line)["request_id"] for line in lines]


@pytest.mark.nightly
def test_a_bad_end_that_a_person_has_dealt_with_leaves_the_failures_and_says_who_and_why(doubt: Doubt) -> None:
    stack = doubt.stack
    request = failed(stack, "by hand")
    assert request in listed_as_failed(stack)
    done, again = (stack.run("settle", request, *REASON, "--operator", "ada", "--json") for _ in range(2))
    shown = stack.run("show", request).stdout

    assert (done.returncode, again.returncode) == (0, 0), done.stderr
    answer = described("settle", json.loads(done.stdout))
    assert (answer["state"], answer["operator"]) == ("import_failed", "ada")
    assert json.loads(again.stdout) == answer
    assert request not in listed_as_failed(stack)
    assert "  settled  by ada: the rows were sent by hand" in shown
    assert [(each["operator"], each["reason"]) for each in settled(stack, request)] == [("ada", REASON[1])]


def test_of_two_operators_who_settle_a_request_at_once_one_does_and_the_other_reads_who(doubt: Doubt) -> None:
    stack, names = doubt.stack, ["ada", "bob"]
    request = failed(stack, "at once")
    settle = partial(stack.run, "settle", request, *REASON, "--operator")
    with ThreadPoolExecutor(2) as both:
        answers = dict(zip(names, both.map(settle, names), strict=True))
    [said] = settled(stack, request)
    winner, other = answers[said["operator"]], answers[names[names[0] == said["operator"]]]

    assert (winner.returncode, winner.stdout) == (0, f"request {request}: settled\n")
    assert other.returncode == 1
    assert other.stderr == (
        f"sfmc-import: request {request} was settled by {said['operator']} already; nothing was done\n"
    )


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["missing", *REASON], 1, "there is no request missing"),
        (["KEPT", *REASON], 1, "is start_unknown: it may have been started"),
        (["COMPLETED", *REASON], 1, "is completed: such an end needs no person"),
        (["WAITING", *REASON], 1, ": it has not ended"),
        (["COMPLETED"], 2, "Missing option '--reason'"),
        (["COMPLETED", "--reason", " "], 2, "settle needs a reason"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_settled_is_said_and_stays_as_it_is(
    doubt: Doubt, words: list[str], code: int, complaint: str
) -> None:
    stack = doubt.stack
    completed = next(each["data"]["request_id"] for each in stack.events() if each["type"] == "sfmc.import.completed")
    waiting = held(stack, "later") if "WAITING" in words else ""
    named = {"KEPT": doubt.kept, "COMPLETED": completed, "WAITING": waiting}
    done = stack.run("settle", *(named.get(word, word) for word in words))

    assert (done.returncode, done.stdout) == (code, "")
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
    assert not any(settled(stack, each) for each in named.values() if each)


@pytest.mark.nightly
def test_an_operator_who_has_the_api_alone_settles_and_a_viewer_does_not(doubt: Doubt) -> None:
    stack = doubt.stack
    first, second = failed(stack, "far one"), failed(stack, "far two")
    tokens = {role: stack.run("tokens", "add", role, "--role", role).stdout.strip() for role in ("operator", "viewer")}
    child = stack.start("serve", "--port", "0")
    port = eventually(lambda: port_of(stack.log_of(child).read_text()), 60, "the server listens")
    env = {"SFMC_REDIS_URL": NOWHERE, "SFMC_API_URL": f"http://127.0.0.1:{port}"}
    done = stack.run("settle", first, *REASON, "--json", SFMC_API_TOKEN=tokens["operator"], **env)
    viewer = stack.run("settle", second, *REASON, SFMC_API_TOKEN=tokens["viewer"], **env)
    named = stack.run("settle", second, *REASON, "--operator", "ada", SFMC_API_TOKEN=tokens["operator"], **env)
    late = stack.run("settle", first, *REASON, "--operator", "bob")

    assert done.returncode == 0, done.stderr
    assert described("settle", json.loads(done.stdout))["operator"] == "operator"
    assert [each["operator"] for each in settled(stack, first)] == ["operator"]
    assert (viewer.returncode, named.returncode, late.returncode) == (1, 2, 1)
    assert "was settled by operator already" in late.stderr
    assert settled(stack, second) == []

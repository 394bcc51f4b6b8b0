"""Commands and producers that have the API alone: the same answers as over Redis, and no file lost while it is away."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.e2e.test_http_api import ROWS, port_of
from tests.support.processes import RunningSystem, running_system
from tests.support.waiting import eventually

NOWHERE = "redis://127.0.0.1:1/0"


SCHEMA = json.loads((Path(__file__).parents[2] / "ops" / "commands.schema.json").read_text())


def described(command: str, line: Any) -> Any:
    """Check one line of output against the schema of its command."""
    document = {**SCHEMA["properties"][command], "$defs": SCHEMA["$defs"]}
    Draft202012Validator(document).validate(line)
    return line


@dataclass(frozen=True)
class Remote:
    """A system with the API, and commands that reach nothing else of it."""

    stack: RunningSystem
    url: str
    tokens: dict[str, str]

    def env(self, role: str = "operator") -> dict[str, str]:
        return {"SFMC_REDIS_URL": NOWHERE, "SFMC_API_URL": self.url, "SFMC_API_TOKEN": self.tokens[role]}

    def run(self, *words: str, role: str = "operator", **more: str) -> Any:
        return self.stack.run(*words, **self.env(role), **more)

    def both(self, *words: str, schema: str = "") -> tuple[Any, Any]:
        """What a command prints over Redis and over the API, as JSON lines that its schema describes."""
        done = [self.stack.run(*words, "--json"), self.run(*words, "--json")]
        assert [each.returncode for each in done] == [0, 0], [each.stderr for each in done]
        here, there = ([json.loads(line) for line in each.stdout.splitlines()] for each in done)
        for line in (*here, *there):
            described(schema or words[0], line)
        return here, there


@pytest.fixture(scope="module")
def remote() -> Iterator[Remote]:
    with running_system({"SFMC_RECONCILE_DEADLINE": "2"}) as stack:
        stack.worker()
        stack.beat()
        names = {"ann": "operator", "drop": "source"}
        tokens = {role: stack.run("tokens", "add", name, "--role", role).stdout.strip() for name, role in names.items()}
        child = stack.start("serve", "--port", "0")
        port = eventually(lambda: port_of(stack.log_of(child).read_text()), 60, "the server listens")
        for key in ("daily", "orders", "stock", "watched"):
            stack.sandbox.control.define(key, FileSpec=f"{key}.csv", MaxImportFrequency=24)
            stack.sandbox.drop(f"{key}.csv", ROWS)
        yield Remote(stack, f"http://127.0.0.1:{port}", tokens)
        assert "Traceback" not in stack.log_of(child).read_text()


@pytest.mark.nightly
def test_a_start_is_submitted_and_waited_for_and_questions_have_the_answers_of_redis(
    remote: Remote, tmp_path: Path
) -> None:
    (tmp_path / "daily.csv").write_text(ROWS)
    done = remote.run("start", "daily", "--file", str(tmp_path / "daily.csv"), "--wait", "--json", role="source")
    assert done.returncode == 0, done.stderr
    submitted, *events = map(json.loads, done.stdout.splitlines())
    request = submitted["request_id"]
    remote.stack.await_idle()

    assert [each["type"].rpartition(".")[2] for each in events][-1] == "completed"
    assert (submitted["workers"], submitted["beats"]) == (1, 1)
    for words in (("show", request), ("show", "daily.csv"), ("events", "--last", "5"), ("events", "--since", "0-0")):
        here, there = remote.both(*words)
        assert here == there
    for words in (("runs",), ("dead-letters",), ("pause", "--list")):
        here, there = remote.both(*words, schema=" ".join(words))
        assert here == there
    remote.both("status", "--unmatched", schema="status --unmatched")
    for name in ("--failures", "--unfinished"):
        remote.both("status", name, schema=f"status {name}")
    described("start", submitted)
    for event in events:
        described("follow", event)
    [standing], [same] = remote.both("status", "daily", schema="status KEY")
    assert standing["window_by"] == same["window_by"] == request
    [whole], [there] = remote.both("status")
    assert whole.keys() == there.keys()
    assert remote.run("follow", events[-1]["data"]["task_id"]).returncode == 0


@pytest.mark.nightly
def test_actions_are_those_of_the_token_and_errors_are_one_line(remote: Remote) -> None:
    again = remote.run("definitions", "refresh", "orders", "--json")
    assert described("definitions refresh", json.loads(again.stdout))["customer_key"] == "orders"
    paused = remote.run("pause", "orders", "--reason", "look first", "--for", "2h", "--json")
    assert described("pause", json.loads(paused.stdout))["operator"] == "ann"
    request = json.loads(remote.run("start", "orders", "--event-id", "e-1", "--json").stdout)["request_id"]
    eventually(lambda: "paused" in remote.run("show", request).stdout, 60, "it waits")
    assert remote.run("cancel", request, "--reason", "no").stdout == f"request {request}: cancelled\n"
    assert remote.run("resume", "orders").returncode == 0
    again = remote.run("replay", request, "--reason", "after all", "--json").stdout
    assert described("replay", json.loads(again))["operator"] == "ann"
    assert remote.run("replay", "nothing").stderr.startswith("sfmc-import: there is no request nothing")
    assert remote.run("replay", request, "--operator", "bob").returncode == 2
    assert remote.run("cancel", request, role="source").stderr.startswith("sfmc-import: the role of this token")
    unknown = remote.run("status", "order")
    assert (unknown.returncode, "did you mean orders?" in unknown.stderr) == (1, True)
    wrong = remote.stack.run("status", SFMC_REDIS_URL=NOWHERE, SFMC_API_URL=remote.url, SFMC_API_TOKEN="sfmc_no")
    assert (wrong.returncode, "does not know the token" in wrong.stderr) == (2, True)
    away = remote.stack.run("runs", SFMC_API_URL="http://127.0.0.1:1", SFMC_API_TOKEN="sfmc_no")
    assert (away.returncode, "the API at http://127.0.0.1:1 does not answer" in away.stderr) == (1, True)
    assert remote.stack.run("status", SFMC_API_URL=remote.url).stderr.count("SFMC_API_TOKEN: missing") == 1


@pytest.mark.nightly
def test_a_shell_completes_definitions_over_redis_and_over_the_api(remote: Remote) -> None:
    remote.stack.await_event("accepted", json.loads(remote.stack.run("start", "stock", "--json").stdout)["request_id"])
    asked = {"_SFMC_IMPORT_COMPLETE": "bash_complete", "COMP_WORDS": "sfmc-import status sto", "COMP_CWORD": "2"}
    away = {"SFMC_REDIS_URL": NOWHERE}

    def offered(**env: str) -> str:
        done = remote.stack.run(**env, **asked)
        assert done.stderr == ""
        return str(done.stdout)

    eventually(lambda: offered() == "plain,stock\n", 60, "a worker has read the definition")
    # A shell waits for a short time only, which a busy machine may need to begin.
    eventually(lambda: offered(**remote.env()) == "plain,stock\n", 60, "the API names the definitions")
    assert offered(**away) == "\n"
    assert "complete -o nosort -F" in remote.stack.run("completion", "bash").stdout


@pytest.mark.nightly
def test_doctor_checks_the_api_in_the_place_of_redis(remote: Remote) -> None:
    login = dict.fromkeys(("SFMC_CLIENT_ID", "SFMC_CLIENT_SECRET", "SFMC_AUTH_URL", "SFMC_SOAP_URL"), "")
    whole, alone = remote.run("doctor", "--json"), remote.run("doctor", "--json", **login)
    found = [json.loads(done.stdout) for done in (whole, alone)]
    moved = remote.run("doctor", "--move-ledger")

    assert (whole.returncode, alone.returncode) == (0, 0), found
    # A watcher that another test ended is reported for a while, and that the ledger was empty.
    checks = [[each["check"] for each in one["findings"] if each["check"] not in {"folder", "losses"}] for one in found]
    assert checks[1] == ["settings", "api", "processes", "login"]
    assert checks[0][:3] == checks[1][:3]
    assert not {"Redis", "broker", "ledger"} & {*checks[0], *checks[1]}
    assert (moved.returncode, "--move-ledger needs Redis itself" in moved.stderr) == (2, True)


@pytest.mark.nightly
def test_explain_says_the_same_over_the_api(remote: Remote) -> None:
    [here], [there] = remote.both("explain", "watched.csv")
    assert {name: (here[name], there[name]) for name in here if here[name] != there[name]} == {}
    assert here["target"]["customer_key"] == "watched"


def test_explain_of_a_file_that_a_watcher_holds_back_says_so_over_the_api(remote: Remote, tmp_path: Path) -> None:
    (tmp_path / "watched.csv").write_text("")
    (tmp_path / "daily.csv").write_text(ROWS)
    words = ("watch", str(tmp_path), "--stable-seconds", "3600", "--rescan", "0.2", "--json")
    watcher = remote.stack.start(*words, **remote.env("source"))

    def grows() -> bool:
        found = map(json.loads, remote.stack.run("folders", "list", "--json").stdout.splitlines())
        return "growing" in {file["reason"] for each in found for file in each["files"]}

    eventually(grows, 60, "it is seen")
    names = ("watched.csv", "daily.csv")
    done = [remote.run("explain", str(tmp_path / name), "--json") for name in names]
    empty, daily = (json.loads(each.stdout)["decision"] for each in done)
    watcher.terminate()
    watcher.wait(60)

    assert (empty["what"], empty["reason"]) == ("nothing", "empty")
    assert (daily["what"], daily["reason"], "until" in daily) == ("wait", "growing", True)


@pytest.mark.nightly
def test_a_watcher_submits_over_the_api_and_keeps_its_file_while_the_api_is_away(
    remote: Remote, tmp_path: Path
) -> None:
    (tmp_path / "watched.csv").write_text(ROWS)
    env = remote.env("source")
    words = ("watch", str(tmp_path), "--stable-seconds", "0.1", "--rescan", "0.2", "--json")
    away = remote.stack.start(*words, **{**env, "SFMC_API_URL": "http://127.0.0.1:1"})
    eventually(lambda: "backend_unavailable" in remote.stack.log_of(away).read_text(), 60, "the outage is said")
    assert "file_submitted" not in remote.stack.log_of(away).read_text()
    watcher = remote.stack.start(*words, **env)
    eventually(lambda: "file_submitted" in remote.stack.log_of(watcher).read_text(), 60, "it is submitted")
    request = json.loads(remote.stack.run("show", "watched.csv", "--json").stdout)
    assert (request["source"][:12], request["customer_key"]) == ("drop/folder:", "watched")
    eventually(lambda: "folder" in remote.run("status").stdout, 30, "the folder is shown")

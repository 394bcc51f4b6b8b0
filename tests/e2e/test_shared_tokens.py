"""Workers with one key use one access token, which nothing shows; doctor says whether tokens are shared."""

import json
from collections.abc import Iterator

import pytest

from sfmc_import.ledger.token_keys import TOKEN
from sfmc_import.redis_rights import rules
from tests.support.processes import RunningSystem, running_system
from tests.support.secrets_watch import WATCH

KEY = "k3PPx0vVwcYmD7Wm6f9J1pTqk0X4mB2Yc8QnT5rZs_0="
KEYS = [f"daily-{number}" for number in range(4)]


@pytest.fixture(scope="module")
def stack() -> Iterator[RunningSystem]:
    WATCH.use(KEY)
    with running_system({"SFMC_TOKEN_KEY": KEY}) as made:
        for key in KEYS:
            made.sandbox.control.define(key)
        made.worker()
        made.worker("--pool", "prefork", "--concurrency", "2")
        made.beat()
        yield made


def issued(stack: RunningSystem) -> int:
    return int(stack.sandbox.control._call("DELETE", "tokens")["expired"])


@pytest.mark.nightly
def test_all_workers_use_one_token_and_replace_one_that_is_refused_once(stack: RunningSystem) -> None:
    before = issued(stack)
    for key in KEYS:
        assert stack.run("start", key).returncode == 0
    stack.await_idle()
    assert issued(stack) == before + 1

    for key in KEYS:
        assert stack.run("start", key, "--force", "--reason", "again").returncode == 0
    stack.await_idle()
    assert issued(stack) == before + 2
    assert len(stack.sandbox.control.performs()) == 2 * len(KEYS)
    assert len(list(stack.client.scan_iter(f"*{TOKEN.letter}:*"))) == 1


def findings(stack: RunningSystem, *options: str, **settings: str) -> list[tuple[str, str]]:
    found = json.loads(stack.run("doctor", "--json", *options, **settings).stdout)["findings"]
    return [(each["level"], each["text"]) for each in found if each["check"] == "tokens"]


@pytest.mark.nightly
def test_doctor_says_whether_tokens_are_shared(stack: RunningSystem) -> None:
    stack.client.execute_command("ACL", "SETUSER", "poor", "reset", ">pw", *rules("producer", "sfmc-import:"))
    poor = {"SFMC_REDIS_URL": f"redis://poor:pw@127.0.0.1:{stack.valkey.port}/0"}
    user = {"SFMC_AUTH_URL": "", "SFMC_CLIENT_ID": "", "SFMC_CLIENT_SECRET": "", "SFMC_USERNAME": "demo-user"}

    assert findings(stack) == [("ok", "all processes share one for each business unit, sealed with SFMC_TOKEN_KEY")]
    assert findings(stack, SFMC_TOKEN_KEY="") == [("ok", "each process asks for its own (SFMC_TOKEN_KEY is not set)")]
    [(level, text)] = findings(stack, **poor)
    assert (level, "no right" in text) == ("warn", True)
    assert findings(stack, "--role", "producer", **poor) == [("ok", text)]
    assert findings(stack, **user, SFMC_PASSWORD="demo-password") == []


@pytest.mark.nightly
def test_a_worker_with_a_wrong_key_ends_with_one_line(stack: RunningSystem) -> None:
    done = stack.run("worker", SFMC_TOKEN_KEY=KEY[:-3])

    assert done.returncode != 0
    [line] = [each for each in done.stderr.splitlines() if "SFMC_TOKEN_KEY" in each]
    assert "not 32 bytes as url-safe base64" in line
    assert KEY[:12] not in done.stderr + done.stdout

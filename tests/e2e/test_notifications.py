"""`sfmc-import notify` as a process: killed before it acknowledges, over a restart of Redis, as documented."""

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from sfmc_import.client import Client
from sfmc_import.notifications.webhook import read_key, signature
from sfmc_local.processes import stop
from tests.support.notification_receivers import Answer, Posted, Receiver, mail_server, receiving
from tests.support.processes import STREAM, RunningSystem, running_system
from tests.support.secrets_watch import WATCH
from tests.support.sources import use_policy
from tests.support.tls_proxy import CERTIFICATE
from tests.support.waiting import eventually

PAGE = (Path(__file__).parents[2] / "ops/docs/notifications.md").read_text("utf-8")
EXAMPLE = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0]
HOOK = """
[[notify]]
name = "hook"
kind = "webhook"
url = "{url}"
timeout = "1s"
claim_after = "2s"
"""
SECRET = "whsec_YS1zZWNyZXQtb2YtdGhlLWhvb2stb2YtdGhpcy10ZXN0"


@pytest.fixture(scope="module")
def system() -> Iterator[RunningSystem]:
    WATCH.use(SECRET)
    with running_system({"SFMC_NOTIFY_HOOK_SECRET": SECRET}, least_rights=True) as made:
        yield made


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def reject(system: RunningSystem, request_id: str, key: str = "daily") -> None:
    with Client(system.valkey.url, mid="510001234") as client:
        client.reject(customer_key=key, request_id=request_id, code="preflight", text="<b>no</b>")


def notifier(system: RunningSystem, policy: dict[str, str]) -> subprocess.Popen[bytes]:
    child = system.start("notify", "run", **policy)
    eventually(lambda: "notifier_started" in system.log_of(child).read_text(), 60, "the notifier runs")
    eventually(lambda: is_listening(system), 30, "its group is there")
    return child


def is_listening(system: RunningSystem) -> bool:
    if not system.client.exists(STREAM):
        return False
    return any(group["name"] == b"notify:hook" for group in system.client.xinfo_groups(STREAM))


def pending(system: RunningSystem) -> int:
    return int(system.client.xpending(STREAM, "notify:hook")["pending"])


def ids(receiver: Receiver) -> set[str]:
    return {post.headers["webhook-id"] for post in receiver.posts}


def is_signed(posted: Posted) -> bool:
    signed = f"{posted.headers['webhook-id']}.{posted.headers['webhook-timestamp']}.".encode() + posted.body
    return posted.headers["webhook-signature"] == signature(read_key(SECRET), signed)


def test_a_notifier_killed_between_sending_and_acknowledging_sends_the_same_again(
    system: RunningSystem, receiver: Receiver
) -> None:
    policy = use_policy(system, HOOK.format(url=receiver.url).replace('"1s"', '"20s"').replace('"2s"', '"21s"'))
    first = notifier(system, policy)
    held = Answer()
    held.hold = receiver.gate
    receiver.answers.append(held)
    reject(system, "killed-1")
    eventually(lambda: receiver.posts, 30, "the message was sent")
    system.kill(first)
    receiver.gate.set()
    assert pending(system) > 0

    # The next one need not wait as long.
    policy = use_policy(system, HOOK.format(url=receiver.url))
    second = notifier(system, policy)
    eventually(lambda: len(receiver.posts) == 2 and pending(system) == 0, 30, "it was sent again and acknowledged")
    assert stop(second) == 0

    assert ids(receiver) == {"killed-1/2/rejected"}
    assert receiver.posts[0].body == receiver.posts[1].body
    assert all(map(is_signed, receiver.posts))
    assert "Traceback" not in system.log_of(second).read_text()


def test_a_notifier_goes_on_after_a_restart_of_redis_and_doctor_sees_whether_one_runs(
    system: RunningSystem, receiver: Receiver
) -> None:
    policy = use_policy(system, HOOK.format(url=receiver.url))
    child = notifier(system, policy)
    reject(system, "before-1")
    eventually(lambda: len(receiver.posts) == 1, 30, "the first message")
    system.valkey.kill()
    system.valkey.start()
    reject(system, "after-1")
    # Redis may have been killed before the first was acknowledged: then it is sent again.
    eventually(lambda: "after-1/2/rejected" in ids(receiver) and pending(system) == 0, 30, "both are acknowledged")
    running = system.run("notify", "list", "--json", **policy)
    assert stop(child) == 0

    assert ids(receiver) == {"before-1/2/rejected", "after-1/2/rejected"}
    shown = orjson.loads(running.stdout)
    assert (shown["name"], shown["kind"], shown["set_aside"]) == ("hook", "webhook", 0)
    assert shown["notifier_seen_seconds_ago"] < 30
    logged = [orjson.loads(line) for line in system.log_of(child).read_text().splitlines()]
    assert {"notifier_waits_for_redis", "notifier_goes_on"} <= {line["event"] for line in logged}


def test_what_was_refused_for_good_is_set_aside_and_sent_again_by_hand(
    system: RunningSystem, receiver: Receiver
) -> None:
    policy = use_policy(system, HOOK.format(url=receiver.url))
    child = notifier(system, policy)
    receiver.answers = [Answer(400, body=b"bad"), Answer(503), Answer(200)]
    reject(system, "refused-1")
    eventually(lambda: "notification_set_aside" in system.log_of(child).read_text(), 30, "it was set aside")
    assert stop(child, within=30) == 0

    failed, done = (system.run("notify", "replay", "hook", **policy) for _ in range(2))

    assert (failed.returncode, done.returncode) == (1, 0)
    assert "answered HTTP 503" in failed.stdout
    assert done.stdout == "sent: 1; left: 0\n"
    assert ids(receiver) == {"refused-1/2/rejected"}


def test_the_example_of_the_page_works_as_written_with_other_addresses(
    system: RunningSystem, receiver: Receiver
) -> None:
    with mail_server(tls="starttls", password=SECRET) as server:
        text = EXAMPLE.replace("smtp.example.com", "127.0.0.1")
        text = text.replace('security = "starttls"', f'security = "starttls"\nport = {server.port}')
        text = text.replace("https://billing.example.com/hooks/imports", receiver.url)
        env = use_policy(system, text) | {"SFMC_NOTIFY_BILLING_SECRET": SECRET, "SFMC_CA_BUNDLE": str(CERTIFICATE)}
        env |= {"SFMC_NOTIFY_OPS_MAIL_PASSWORD": SECRET, "SFMC_NOTIFY_HOOK_SECRET": ""}
        env |= {"SFMC_NOTIFY_TEAM_URL": receiver.url, "SFMC_NOTIFY_MANAGERS_URL": receiver.url}
        tried, one = system.run("notify", "test", **env), system.run("notify", "test", "team", "--json", **env)

    assert tried.stdout.splitlines() == [
        f"ops-mail: sent: 127.0.0.1:{server.port} took it",
        *(f"{name}: sent: HTTP 200: ok" for name in ("team", "managers", "billing")),
    ]
    assert orjson.loads(one.stdout) == {"name": "team", "sent": True, "text": "HTTP 200: ok"}
    assert server.mails[0]["Subject"] == "sfmc-import: test of ops-mail"
    doctor = system.run("doctor", "--json", **env).stdout
    found = [each for each in orjson.loads(doctor)["findings"] if each["check"] == "notify"]
    assert [each["level"] for each in found] == ["warn"] * 4
    assert found[0]["fix"] == "start sfmc-import notify run"


@pytest.mark.parametrize(
    ("policy", "said"),
    [("", "there is no [[notify]]"), ('[[notify]]\nname = "x"\nkind = "slack"\n', "SFMC_NOTIFY_X_URL: missing")],
)
def test_a_notifier_that_cannot_send_says_what_is_missing_in_one_line(
    system: RunningSystem, policy: str, said: str
) -> None:
    done = system.run("notify", "run", **use_policy(system, policy), SFMC_NOTIFY_HOOK_SECRET="")

    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_ends_a_notifier_with_its_own_exit_code(system: RunningSystem, receiver: Receiver) -> None:
    child = notifier(system, use_policy(system, HOOK.format(url=receiver.url)))
    child.send_signal(signal.SIGINT)

    assert child.wait(30) == 130

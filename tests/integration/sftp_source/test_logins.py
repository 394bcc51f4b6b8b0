"""Exactly one login is tried: a password, a key or a key of the agent; a refused one stops the source."""

import os
import shutil
import signal
import subprocess
import threading
from contextlib import contextmanager

import asyncssh
import pytest
from structlog.testing import capture_logs

from sfmc_producers.notifications import Wakeup
from sfmc_producers.sources.receiving import SourceRefusedError, SourceUnavailableError
from tests.integration.sftp_source.watched import WatchedServer
from tests.support.sftp_server import PASSWORD
from tests.support.waiting import eventually

KEY = asyncssh.generate_private_key("ssh-ed25519")
RSA = asyncssh.generate_private_key("ssh-rsa", key_size=2048)


def pem(key, passphrase=None):
    return key.export_private_key("openssh", passphrase=passphrase).decode()


def in_pkcs8(key, passphrase):
    return key.export_private_key("pkcs8-pem", passphrase=passphrase).decode()


@contextmanager
def source_with(server, client, secrets, **options):
    made = WatchedServer(server, client, secrets=secrets, **options)
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("key", [KEY, RSA], ids=["ed25519", "rsa"])
def test_a_key_logs_in_with_one_try_and_the_password_is_never_asked_for(server, client, key):
    server.authorized = [key]
    with source_with(server, client, {"key": pem(key)}) as made:
        made.pass_time(2)
    assert {method for method, accepted in server.logins if accepted} == {"publickey"}
    assert all(accepted for _, accepted in server.logins)


@pytest.mark.parametrize("written", [pem, in_pkcs8], ids=["openssh", "pkcs8"])
def test_a_key_with_a_passphrase_logs_in(server, client, written):
    server.authorized = [KEY]
    with source_with(
        server, client, {"key": written(KEY, "phrase-of-this-key"), "passphrase": "phrase-of-this-key"}
    ) as made:
        made.pass_time()
    assert server.connections == 1


@pytest.mark.parametrize(
    ("secrets", "what"),
    [({"password": "a-wrong-password-of-a-test"}, "its password"), ({"key": pem(KEY)}, "the key SHA256:")],
    ids=["password", "key"],
)
@pytest.mark.parametrize("ends", [False, True], ids=["says so", "ends the connection"])
def test_a_refused_login_stops_the_source_and_nothing_connects_again(server, client, secrets, what, ends):
    server.ends_refused_logins = ends
    with source_with(server, client, secrets) as made:
        refusal = refused(made, tries=2 if ends else 1)
        again = refused(made)
    assert what in str(refusal) + str(again)
    assert "start the source again" in again.fix
    assert server.logins == [(server.logins[0][0], False)] * (2 if ends else 1)
    assert "a-wrong-password-of-a-test" not in f"{refusal} {again} {again.fix}"


def refused(made, tries=1):
    for _ in range(tries - 1):
        with pytest.raises(SourceUnavailableError, match="while logging in"):
            made.pass_time()
    with pytest.raises(SourceRefusedError) as refusal:
        made.pass_time()
    return refusal.value


def test_a_server_without_this_kind_of_login_gets_no_login_at_all(server, client):
    server.methods = {"publickey"}
    with source_with(server, client, {"password": PASSWORD}) as made:
        refusal = refused(made)
    assert "does not let users log in by password" in str(refusal)
    assert server.logins == []


def test_a_source_that_runs_ends_with_the_refusal(server, client):
    with source_with(server, client, {"password": "a-wrong-password-of-a-test"}) as made, capture_logs():
        with pytest.raises(SourceRefusedError):
            made.source.run(Wakeup())
        with pytest.raises(SourceRefusedError):
            made.source.run(Wakeup())
    assert server.logins == [("password", False)]


def test_threads_that_need_a_connection_at_once_make_one_refused_login(server, client):
    with source_with(server, client, {"password": "a-wrong-password-of-a-test"}, connections=5) as made:
        errors = []
        threads = [threading.Thread(target=lambda: errors.append(refused(made))) for _ in range(5)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(20)
    assert len(errors) == 5
    assert server.logins == [("password", False)]


@pytest.fixture
def agent(tmp_path, monkeypatch):
    if shutil.which("ssh-agent") is None:
        pytest.skip("ssh-agent is not installed")
    path = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL) as child:
        eventually(path.exists, 10, "the agent listens")
        monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
        yield lambda key: add(tmp_path, key)
        child.send_signal(signal.SIGTERM)


def add(folder, key):
    file = folder / "key"
    file.write_text(pem(key))
    file.chmod(0o600)
    subprocess.run(["ssh-add", "-q", str(file)], check=True, env=os.environ, timeout=20, stderr=subprocess.DEVNULL)


def test_a_key_of_the_agent_logs_in_and_of_several_only_the_named_one_is_tried(server, client, agent):
    server.authorized = [RSA]
    agent(RSA)
    with source_with(server, client, {}, agent=True) as made:
        made.pass_time()
    agent(KEY)
    with source_with(server, client, {}, agent=True) as made:
        assert "the agent has 2 keys" in str(refused(made))
    with source_with(server, client, {}, agent=True, agent_key=RSA.get_fingerprint()) as made:
        made.pass_time()
    with source_with(server, client, {}, agent=True, agent_key=server.fingerprint) as made:
        assert "the agent has no key SHA256:" in str(refused(made))
    assert all(accepted for _, accepted in server.logins)
    assert server.connections == 2


def test_an_agent_that_is_not_there_is_waited_for(server, client, monkeypatch):
    monkeypatch.setenv("SSH_AUTH_SOCK", "/nonexistent/agent")
    with source_with(server, client, {}, agent=True) as made, pytest.raises(SourceUnavailableError, match="agent"):
        made.pass_time()

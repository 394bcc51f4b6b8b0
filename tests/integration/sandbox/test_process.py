"""The sandbox as a program: how it starts, says where it is, keeps its data and ends."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import requests

import sfmc_sandbox
from tests.support.sandbox_server import SandboxProcess
from tests.support.soap_conversation import Conversation, envelope, equals, start
from tests.support.waiting import eventually


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_it_ends_cleanly_after_a_signal(sign: int, code: int) -> None:
    sandbox = SandboxProcess().start()
    assert sandbox.stop(sign) == code
    assert not [line for line in sandbox.errors if "Traceback" in line]


def test_callers_that_go_while_their_body_comes_are_no_error() -> None:
    sandbox = SandboxProcess().start()
    for path in ("/Service.asmx", "/v2/token", "/_sandbox/faults"):
        for length in ("Content-Length: 9", "Transfer-Encoding: chunked"):
            with socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2]))) as connection:
                connection.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{length}\r\n\r\n".encode())
    assert sandbox.control.performs("any") == []
    assert sandbox.stop() == 0
    assert not [line for line in sandbox.errors if "Traceback" in line]


def test_it_ends_within_its_grace_while_a_call_hangs() -> None:
    with SandboxProcess() as sandbox:
        sandbox.control.define("daily")
        sandbox.control.add_fault("delay", seconds=600)
        client = Conversation(sandbox)
        header = client.header()
        with socket.create_connection(("127.0.0.1", int(sandbox.url.rpartition(":")[2]))) as connection:
            body = envelope(start("<CustomerKey>daily</CustomerKey>"), header).encode()
            head = (
                f"POST /Service.asmx HTTP/1.1\r\nHost: x\r\nSOAPAction: Perform\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            connection.sendall(head.encode() + body)
            eventually(lambda: sandbox.control.faults()[0]["fired"], 60, "the call hangs")
            assert sandbox.stop() == 0


def test_the_address_is_the_first_line_and_stands_in_the_data_folder(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "sfmc_sandbox", "--port", "0", "--data", str(tmp_path / "new" / "data")],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert process.stdout is not None
    with process.stdout:
        url = process.stdout.readline().strip()
        assert requests.get(f"{url}/_sandbox/health", timeout=60).json()["status"] == "ok"
        assert (tmp_path / "new" / "data" / "sandbox.url").read_text() == f"{url}\n"
        process.terminate()
        assert process.wait(timeout=60) == 0


def test_definitions_runs_and_rows_outlive_the_process(tmp_path: Path) -> None:
    sandbox = SandboxProcess(data=tmp_path).start()
    client = Conversation(sandbox)
    client.make_data_extension("people")
    sandbox.control.define(
        "daily", FileSpec="p.csv", DestinationObject={"xsi:type": "DataExtension", "CustomerKey": "people"}
    )
    sandbox.drop("p.csv", "key\n1\n")
    first = client.perform("daily").text("ID")
    eventually(lambda: sandbox.control.performs()[0]["result"], 60, "the import ended")
    sandbox.stop()
    with sandbox.start():
        again = Conversation(sandbox)
        rows = again.retrieve("DataExtensionObject[people]", ["key"])
        wanted = equals("ImportDefinitionCustomerKey", "daily")
        known = again.retrieve("ImportResultsSummary", ["TaskResultID"], wanted)
        assert rows.texts("Value") == ["1"]
        assert known.texts("TaskResultID") == [first]
        assert int(again.perform("daily").text("ID")) > int(first)


def test_a_token_outlives_the_process_like_the_state(tmp_path: Path) -> None:
    sandbox = SandboxProcess(data=tmp_path).start()
    sandbox.control.define("daily")
    header = Conversation(sandbox).header()
    sandbox.kill()
    with sandbox.start():
        client = Conversation(sandbox)
        payload = start("<CustomerKey>daily</CustomerKey>")
        assert client.call("Perform", payload, header=header).text("OverallStatus") == "OK"
        sandbox.control.advance(1201)
        assert client.call("Perform", payload, header=header).fault == "Token Expired"


def test_what_the_sandbox_keeps_is_for_its_user_alone(tmp_path: Path) -> None:
    with SandboxProcess(data=tmp_path / "new" / "data") as sandbox:
        Conversation(sandbox).header()
        modes = {file.name: file.stat().st_mode & 0o777 for file in (tmp_path / "new" / "data").glob("*.*")}

    assert {"sandbox.sqlite", "sandbox.lock", "rows.sqlite"} <= modes.keys()
    assert set(modes.values()) == {0o600}
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "new", tmp_path / "new" / "data")] == [0o700] * 2


@pytest.mark.parametrize("name", ["sandbox.lock", "sandbox.url", "sandbox.sqlite-wal"])
def test_a_data_folder_with_a_link_in_the_place_of_a_file_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).symlink_to(tmp_path / "precious")
    result = _run("--data", str(tmp_path), "--port", "0")

    assert result.returncode == 1
    assert f"{name} in it is a link" in result.stderr
    assert not (tmp_path / "precious").exists()


def test_task_ids_grow_also_after_a_reset_and_a_restart(tmp_path: Path) -> None:
    sandbox = SandboxProcess(data=tmp_path).start()
    sandbox.control.define("daily")
    first = Conversation(sandbox).perform("daily").text("ID")
    sandbox.control.reset()
    sandbox.stop()
    with sandbox.start():
        sandbox.control.define("daily")
        assert int(Conversation(sandbox).perform("daily").text("ID")) > int(first)


@pytest.mark.nightly
def test_a_run_that_was_queued_when_the_process_died_is_carried_out_by_the_next(tmp_path: Path) -> None:
    sandbox = SandboxProcess(data=tmp_path).start()
    client = Conversation(sandbox)
    sandbox.control.define("big", FileSpec="big.csv")
    sandbox.control.define("small", FileSpec="small.csv")
    sandbox.drop("big.csv", "key\n" + "".join(f"{n}\n" for n in range(200_000)))
    sandbox.drop("small.csv", "key\n1\n")
    for key in ("big", "small"):
        assert client.perform(key).text("OverallStatus") == "OK"
    sandbox.kill()
    with sandbox.start():
        done = eventually(lambda: [p for p in sandbox.control.performs() if p["result"]][1:], 60, "both runs ended")
        assert [(p["customer_key"], p["status"]) for p in done] == [("small", "Completed")]


def test_a_taken_port_is_one_clear_line() -> None:
    with SandboxProcess() as sandbox:
        port = sandbox.url.rpartition(":")[2]
        other = _run("--port", port)
        assert other.returncode == 1
        assert other.stderr.strip() == f"Error: cannot listen on 127.0.0.1:{port}: Address already in use"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--port", "99999"], "99999 is not in the range"),
        (["--inside-window", "maybe"], "'maybe' is not one of"),
        (["--data", __file__], "is a file"),
        (["--time-zone", "Mars/Olympus"], "Mars/Olympus"),
        (["--time-zone", "America"], "'America' is not a time zone"),
    ],
)
def test_a_wrong_option_is_one_clear_line(options: list[str], complaint: str) -> None:
    result = _run("--port", "0", *options)
    assert result.returncode == 2
    assert complaint in result.stderr
    assert "Traceback" not in result.stderr


def test_a_data_folder_belongs_to_one_sandbox_at_a_time(tmp_path: Path) -> None:
    with SandboxProcess(data=tmp_path):
        other = _run("--port", "0", "--data", str(tmp_path))
    assert other.returncode == 1
    assert (
        other.stderr.strip() == f"Error: another sandbox uses the data folder {tmp_path}: end it or use another folder"
    )


def test_a_data_folder_that_cannot_be_used_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "sandbox.sqlite").write_text("this is no database, and long enough to be read as one" * 20)
    for folder, complaint in (("file/below", "Not a directory"), ("broken", "file is not a database")):
        result = _run("--port", "0", "--data", str(tmp_path / folder))
        assert result.returncode == 1
        assert complaint in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1


def test_options_can_be_set_by_environment() -> None:
    environment = {**os.environ, "SFMC_SANDBOX_CLIENT_ID": "me", "SFMC_SANDBOX_CLIENT_SECRET": "mine"}
    process = subprocess.Popen(
        [sys.executable, "-m", "sfmc_sandbox", "--port", "0", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert process.stdout is not None
    with process.stdout:
        url = json.loads(process.stdout.readline())["url"]
        fields = {"grant_type": "client_credentials", "client_id": "me", "client_secret": "mine"}
        assert requests.post(f"{url}/v2/token", json=fields, timeout=60).status_code == 200
        process.terminate()
        process.wait(timeout=60)


def test_without_a_data_folder_nothing_stays_behind(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-m", "sfmc_sandbox", "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline()
        process.terminate()
        assert process.wait(timeout=60) == 0
    assert list(tmp_path.iterdir()) == []


def test_with_tls_only_clients_that_trust_its_certificate_are_served() -> None:
    certificate = Path(sfmc_sandbox.__file__).parent / "tls" / "localhost.pem"
    with SandboxProcess(["--tls"]) as sandbox:
        assert sandbox.url.startswith("https://127.0.0.1:")
        trusting = requests.get(f"{sandbox.url}/etframework.wsdl", verify=str(certificate), timeout=60)
        assert f'location="{sandbox.url}/Service.asmx"' in trusting.text
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(f"{sandbox.url}/_sandbox/health", timeout=60)
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{sandbox.url.replace('https', 'http')}/_sandbox/health", timeout=60)


def test_its_certificate_is_for_servers_on_this_machine_and_no_authority() -> None:
    certificate = Path(sfmc_sandbox.__file__).parent / "tls" / "localhost.pem"
    content = ssl.PEM_cert_to_DER_cert(certificate.read_text().partition("-----BEGIN PRIVATE")[0])
    no_authority = bytes.fromhex("0603551d130101ff04023000")  # basicConstraints, critical, without cA
    for_servers = bytes.fromhex("06082b06010505070301")  # serverAuth
    assert (no_authority in content, for_servers in content) == (True, True)
    strict = ssl.create_default_context(cafile=certificate)
    strict.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    with SandboxProcess(["--tls"]) as sandbox:
        for name in ("127.0.0.1", "localhost"):
            url = sandbox.url.replace("127.0.0.1", name)
            with urllib.request.urlopen(f"{url}/_sandbox/health", context=strict, timeout=60) as reply:
                assert reply.status == 200


def test_a_certificate_that_is_none_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("nothing")
    result = _run("--port", "0", "--tls-pem", str(tmp_path / "no.pem"))
    assert result.returncode == 1
    assert "is no certificate with its key" in result.stderr
    assert "Traceback" not in result.stderr


def _run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sfmc_sandbox", *options],
        capture_output=True, text=True, timeout=60, check=False, cwd=Path(__file__).parents[3],
    )  # fmt: skip

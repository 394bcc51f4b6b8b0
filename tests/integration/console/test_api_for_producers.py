"""What producers send to the API of a server: large records and notes, and questions about files."""

from base64 import b64encode
from pathlib import Path
from typing import Any

import httpx
import pytest

from sfmc_import.api_client.submitting import MAX_RECORD, MAX_RECORD_TEXT
from tests.support.console import World, console_over

POLICY = """
[[target]]
name = "eftp"
kind = "sftp"
host = "ftp.example.com"
user = "u"
host_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKhJ5C9wH0XEcN6bGbb0QeCmSNmpZQ8Q1n2nYy4mWfFj"]
"""


def asked(world: World, method: str, path: str, body: dict[str, Any], role: str = "source") -> httpx.Response:
    return world.http.request(method, path, json=body, headers={"authorization": f"Bearer {world.tokens[role]}"})


def test_the_largest_record_that_a_producer_sends_is_kept(world: World) -> None:
    body = {"source": "drop", "record_id": "m" * 256, "text": "t" * MAX_RECORD_TEXT}
    body["body_base64"] = b64encode(b"x" * MAX_RECORD).decode()

    assert asked(world, "POST", "/v1/set-aside", body).status_code == 204


def test_many_files_that_wait_can_be_said(world: World) -> None:
    file = {"name": "n" * 255, "reason": "unstable", "age": 1, "text": "t" * 300}
    folder = {"location": "/in", "waits_for": None, "files": [file] * 200}
    answer = asked(world, "PUT", "/v1/watchers/w", {"folders": [folder]})

    assert answer.status_code != 413


@pytest.mark.parametrize("path", ["/v1/set-aside", "/v1/requests"])
def test_a_body_over_the_limit_is_refused(world: World, path: str) -> None:
    assert asked(world, "POST", path, {"x": "x" * 256 * 1024}).status_code == 413


def test_a_file_is_explained_by_a_server_without_the_secrets_of_targets(redis_server, tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(POLICY)
    with console_over(redis_server.url, SFMC_CONFIG=str(tmp_path / "policy.toml")) as world:
        body = {"file": {"location": "/in", "name": "a.csv"}}
        answers = [asked(world, "POST", "/v1/explain", body, "operator") for _ in range(2)]

    assert [each.status_code for each in answers] == [200, 200]
    assert "SFMC_TARGET" not in answers[0].text

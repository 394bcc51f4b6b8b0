"""What producers send to the API of a server: large records and notes, and questions about files."""

from base64 import b64encode
from pathlib import Path
from typing import Any

import httpx
import pytest

from sfmc_import.api_client.submitting import MAX_RECORD, MAX_RECORD_TEXT
from sfmc_import.operations import tokens
from sfmc_import.operations.errors import InvalidError
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


def test_a_token_that_was_made_for_some_sources_sets_records_aside_for_these_alone(world: World) -> None:
    token = tokens.add(world.access, "shop", "source", "test", ("shop-bucket",))
    headers = {"authorization": f"Bearer {token}"}
    body = {"record_id": "1", "text": "t", "body_base64": "eA=="}
    own, other = (
        world.http.request("POST", "/v1/set-aside", json={**body, "source": source}, headers=headers)
        for source in ("shop-bucket", "bank-hook")
    )

    assert own.status_code == 204
    assert other.status_code == 403
    assert other.json()["detail"] == "this token is for other sources: shop-bucket"


def test_a_token_of_a_source_cannot_speak_for_the_watcher_of_another_token(world: World) -> None:
    other = tokens.add(world.access, "other", "source", "test")
    folder = {"folder": "/in", "location": "/in", "state": "watched", "files": [], "more": 0}
    assert asked(world, "PUT", "/v1/watchers/w", {"folders": [folder]}).status_code == 204
    world.http.request("PUT", "/v1/watchers/w", json={"folders": None}, headers={"authorization": f"Bearer {other}"})

    assert [each["folders"] for each in world.access.reader.watchers()] != []


def test_only_tokens_of_sources_are_for_sources_and_their_names_are_names(world: World) -> None:
    with pytest.raises(InvalidError, match="only a token of the role source"):
        tokens.add(world.access, "eva", "viewer", "test", ("shop-bucket",))
    with pytest.raises(InvalidError, match="is no name of a source"):
        tokens.add(world.access, "eva", "source", "test", ("../x",))


@pytest.mark.parametrize("path", ["/v1/set-aside", "/v1/requests"])
def test_a_body_over_the_limit_is_refused(world: World, path: str) -> None:
    assert asked(world, "POST", path, {"x": "x" * 256 * 1024}).status_code == 413


def test_a_file_that_still_grows_says_when_it_is_complete(world: World) -> None:
    file = {"name": "a.csv", "reason": "growing", "age": 3.0, "again": 7.0}
    folder = {"folder": "/in", "location": "/in", "state": "watched", "files": [file], "more": 0}
    assert asked(world, "PUT", "/v1/watchers/w", {"folders": [folder]}).status_code == 204
    page = world.person("viewer").see("/").text
    headers = {"authorization": f"Bearer {world.tokens['viewer']}"}
    [listed] = world.http.request("GET", "/v1/folders", headers=headers).json()

    assert f"complete at {listed['files'][0]['until'][11:19]} UTC if it does not change" in page


def test_a_file_is_explained_by_a_server_without_the_secrets_of_targets(redis_server, tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(POLICY)
    with console_over(redis_server.url, SFMC_CONFIG=str(tmp_path / "policy.toml")) as world:
        body = {"file": {"location": "/in", "name": "a.csv"}}
        answers = [asked(world, "POST", "/v1/explain", body, "operator") for _ in range(2)]

    assert [each.status_code for each in answers] == [200, 200]
    assert "SFMC_TARGET" not in answers[0].text

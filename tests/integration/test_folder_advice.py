"""What helps with a folder or a file that waits, by its error or its code; and which folder cannot be forgotten."""

import errno
import os
from collections.abc import Iterator
from typing import Any

import pytest

from sfmc_import.operations import forgetting
from sfmc_import.operations.errors import ConflictError
from sfmc_import.operations.folders import folders
from sfmc_import.operations.unreadable import LINK_TO_NOTHING
from tests.support.console import MID, World, console_over

FOLDER = {"folder": "/data/in", "location": "/data/in", "state": "watched", "files": [], "more": 0}


@pytest.fixture
def world(redis_server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("SFMC_REDIS_URL", redis_server.url)
    monkeypatch.setenv("SFMC_ACCOUNT_ID", MID)
    with console_over(redis_server.url) as made:
        yield made


@pytest.mark.parametrize("state", ["watched", "unreadable"])
def test_a_folder_that_a_process_still_reads_cannot_be_forgotten_on_any_surface(world: World, state: str) -> None:
    world.client.note_folders("h:1:x", [FOLDER | {"state": state, "age": 1.0, "text": ""}])
    with pytest.raises(ConflictError, match="/data/in is still read, by h:1:x: it would be seen again"):
        forgetting.forget_folder(world.access, "/data/in", "ann")
    over_api = world.ask("POST", "/v1/folders/forget", "operator", json={"name": "/data/in"})

    assert (over_api.status_code, "is still read" in over_api.text) == (409, True)
    assert [each.state for each in folders(world.access.reader)] == [state]


@pytest.mark.parametrize(
    ("number", "folder_fix", "file_fix"),
    [
        (errno.ENOENT, "it is not there: create it, or mount it", ""),
        (errno.ENOTDIR, "something else lies in its place: move that away", ""),
        (errno.EACCES, "give the watcher the right to read it;", "give the watcher the right to read it"),
        (errno.ESTALE, "see its mount and the server behind it", "see its mount and the server behind it"),
        (errno.ELOOP, "its path has a link that leads to itself", "its link leads to itself: correct or delete it"),
        (errno.EMFILE, "give the watcher the right to read it, or mount it again", ""),
    ],
    ids=errno.errorcode.get,
)
def test_what_helps_with_a_folder_or_file_that_cannot_be_read_depends_on_the_error(
    world: World, number: int, folder_fix: str, file_fix: str
) -> None:
    text = os.strerror(number)
    file = {"name": "a.csv", "reason": "unreadable", "age": 1.0, "text": text}
    gone = FOLDER | {"state": "unreadable", "age": 1.0, "text": text}
    world.client.note_folders("h:1:x", [gone, FOLDER | {"location": "/b", "folder": "/b", "files": [file]}])
    whole, other = world.ask("GET", "/v1/folders").json()

    assert whole["advice"].startswith(folder_fix)
    assert whole["advice"].endswith("its files go on by themselves after that")
    assert other["files"][0]["advice"].startswith(file_fix or "give the watcher the right")
    assert folder_fix in world.person("viewer").see("/").text


@pytest.mark.parametrize(
    ("code", "fix"),
    [
        (
            "date_differs",
            "let its sender send it under the name of today; see also SFMC_TIME_ZONE. A [[route]]",
        ),
        ("case_differs", "let its sender send it under the name that FileSpec has, or correct FileSpec"),
        ("blanks_differ", "let its sender send it under the name that FileSpec has, or correct FileSpec"),
        ("no_match", "add a [[route]], or correct FileSpec"),
    ],
)
def test_what_helps_a_file_without_a_definition_depends_on_how_nearly_one_matches(
    world: World, code: str, fix: str
) -> None:
    file = {"name": "a.csv", "reason": "unmatched", "age": 1.0, "text": "so", "code": code}
    world.client.note_folders("h:1:x", [FOLDER | {"files": [file]}])
    [folder] = world.ask("GET", "/v1/folders?file=a.csv").json()

    assert (fix in folder["files"][0]["advice"], folder["is_trouble"]) == (True, False)
    assert fix in world.person("viewer").see("/search?q=a.csv").text


def test_a_link_to_a_file_that_is_not_there_says_what_to_do(world: World) -> None:
    file = {"name": "a.csv", "reason": "unreadable", "age": 1.0, "text": LINK_TO_NOTHING}
    world.client.note_folders("h:1:x", [FOLDER | {"files": [file]}])
    [folder] = world.ask("GET", "/v1/folders").json()
    [waits] = folder["files"]

    assert waits["text"] == f"cannot be read ({LINK_TO_NOTHING})"
    assert waits["advice"].startswith("put the file there that it leads to")

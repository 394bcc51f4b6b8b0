"""The lines of [source.content], and the secrets of each kind: what is wrong is said in one line at the start."""

from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import SecretStr

from sfmc_import.errors import SettingsError
from sfmc_import.settings.policy_file import SourceTable
from sfmc_producers.contents.opening import open_contents
from sfmc_producers.contents.tables import SftpContent, read_content
from sfmc_producers.push.options import PushOptions
from sfmc_producers.sources.kinds import KINDS
from sfmc_producers.sources.tables import Parts, read_options

S3 = {"kind": "s3", "bucket": "drop"}
AZURE = {"kind": "azure", "account": "acc", "container": "drop"}
SFTP = {"kind": "sftp", "host": "h", "user": "u", "host_keys": ["SHA256:" + "a" * 43]}


def problems_of(content: Any, kind: str = "push", **lines: Any) -> list[str]:
    """What is said about a [[source]] with this [source.content]."""
    usual = {"form": "s3-webhook", "auth": "none"} if kind == "push" else {"key": "drop:arrivals"}
    table = SourceTable("drop", kind, {**usual, "content": content, **lines}, "policy.toml [[source]] drop")
    try:
        read_options([table], KINDS)
    except SettingsError as error:
        return list(error.problems)
    return []


@pytest.mark.parametrize("kind", ["push", "stream"])
@pytest.mark.parametrize("content", [S3, {"kind": "gcs", "bucket": "drop"}, AZURE, SFTP], ids=lambda each: each["kind"])
def test_each_kind_of_content_stands_in_sources_that_only_hear_of_files(content: Any, kind: str) -> None:
    assert problems_of(content, kind) == []


WRONG = [
    (1, "content"),
    ({}, "kind: use one of s3, gcs, azure, sftp"),
    ({"kind": "ftp"}, "kind: use one of s3, gcs, azure, sftp"),
    ({"kind": "s3"}, "bucket: missing"),
    ({**S3, "bucket": "a/b"}, "bucket"),
    ({**S3, "secret_key": "geheim-1"}, "secret_key: there is no such setting"),
    ({**AZURE, "account": "a-b"}, "account"),
    ({**SFTP, "port": 0}, "port"),
]


@pytest.mark.parametrize(("content", "said"), WRONG)
def test_lines_that_cannot_be_are_named_in_one_line_and_no_value_is_repeated(content: Any, said: str) -> None:
    [line] = problems_of(content)
    assert line.startswith("policy.toml [[source]] drop content: ")
    assert said in line
    assert "geheim-1" not in line


@pytest.mark.parametrize("kind", ["push", "stream"])
def test_a_source_that_hears_of_files_can_be_listed_where_its_content_can_be(kind: str) -> None:
    assert problems_of(S3, kind, scan_every="1h") == []
    [line] = problems_of(None, kind, scan_every="1h")
    assert f"scan_every: a source of kind {kind} cannot be listed without [source.content]" in line
    [line] = problems_of(SFTP, kind, scan_every="1h")
    assert "scan_every: content of kind sftp cannot be listed" in line


def test_only_a_push_source_without_content_runs_in_the_server_alone() -> None:
    lines = {"form": "s3-webhook", "auth": "none"}
    assert PushOptions.model_validate(lines).is_served
    assert not PushOptions.model_validate({**lines, "content": S3}).is_served


def test_events_of_sftpgo_are_located_on_the_server_of_the_content() -> None:
    options = PushOptions.model_validate(
        {"form": "sftpgo", "auth": "none", "content": {**SFTP, "port": 2022, "dir": "/in"}}
    )
    assert options.place.location.rstrip("/") == "sftp://h:2022"
    assert isinstance(options.content, SftpContent)
    assert options.content.root == "sftp://h:2022/in"


class Secrets:
    """Settings that have these secrets alone."""

    def __init__(self, **secrets: str) -> None:
        self._secrets = secrets

    def secret_of(self, name: str, what: str) -> SecretStr | None:
        found = self._secrets.get(f"{name}_{what}")
        return None if found is None else SecretStr(found)


def opened_with(content: Mapping[str, Any], **secrets: str) -> Any:
    parts: Any = Parts("drop", Secrets(**secrets), None, None)  # type: ignore[arg-type]
    return open_contents(read_content(content), parts)


MISSING = [
    (
        {"kind": "gcs", "bucket": "drop"},
        {},
        "SFMC_SOURCE_DROP_CONTENT_ACCESS_KEY and SFMC_SOURCE_DROP_CONTENT_SECRET_KEY",
    ),
    (S3, {"drop_content_access_key": "a"}, "SFMC_SOURCE_DROP_CONTENT_SECRET_KEY"),
    (AZURE, {}, "SFMC_SOURCE_DROP_CONTENT_CONNECTION: missing"),
    (AZURE, {"drop_content_connection": "geheim-1"}, "no connection string"),
]


@pytest.mark.parametrize(("content", "secrets", "said"), MISSING)
def test_a_secret_that_is_missing_or_wrong_is_named_before_anything_connects(
    content: Any, secrets: Any, said: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        opened_with(content, **secrets)
    [line] = raised.value.problems
    assert said in line
    assert "geheim-1" not in line


def test_s3_without_keys_takes_the_login_that_boto3_finds() -> None:
    opened_with(S3).close()

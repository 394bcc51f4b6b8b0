"""Which sources may be used with routes that deliver."""

import tomllib
from typing import Any

import pytest

from sfmc_import.errors import SettingsError
from sfmc_import.request import FileInfo
from sfmc_import.settings import Route, load
from sfmc_import.settings.policy_file import read_tables
from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.sources.commands import require_kept
from sfmc_producers.sources.folder import FolderOptions
from sfmc_producers.sources.intake import Intake
from sfmc_producers.sources.sftp.options import SftpOptions
from sfmc_producers.submitter import InvalidRequest, RoutingRules, Submitter
from tests.support.fake_client import FakeClient
from tests.support.sources import example_of
from tests.support.watched_folder import NOON


def opened(page: str, **changes: str) -> Any:
    """Check the example of a source beside the routes of the page on delivery."""
    problems: list[str] = []
    tables = read_tables(tomllib.loads(example_of("delivery") + example_of(page, **changes)), "policy.toml", problems)
    assert problems == []
    options = {"sftp": SftpOptions, "folder": FolderOptions}[page].model_validate(tables.sources[0].lines)
    return require_kept(tables.sources[0], options, (*(each.as_route() for each in options.route), *tables.routes))


@pytest.mark.parametrize("after", ["delete", "move"])
def test_files_of_sftp_are_not_removed_where_they_would_be_delivered_nowhere(after: str) -> None:
    moved = {} if after == "move" else {'after = "move"': 'after = "delete"'}
    if after == "delete":
        moved |= {line: "" for line in example_of("sftp").splitlines() if line.startswith("move_to")}
    with pytest.raises(SettingsError, match="after: a source of kind sftp cannot deliver its files"):
        opened("sftp", **moved)


def test_files_of_a_folder_may_be_moved_after_they_were_delivered() -> None:
    assert opened("folder") is None


def test_a_route_does_not_unpack() -> None:
    problems: list[str] = []
    text = example_of("delivery", **{'deliver = "sftp"': 'deliver = "sftp"\nunpack = "gz"'})
    read_tables(tomllib.loads(text), "policy.toml", problems)
    [line] = problems
    assert line.startswith("policy.toml [[route]] 1 ")
    assert "unpack" in line


def test_the_password_of_a_target_is_known_to_the_redaction_of_logs(tmp_path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(example_of("delivery"))
    settings = load({"SFMC_CONFIG": str(file), "SFMC_TARGET_ENHANCED_FTP_PASSWORD": "geheim-1"})
    assert "geheim-1" in settings.secrets()
    assert "geheim-1" not in repr(settings)


def test_what_comes_together_is_not_submitted_without_its_delivery() -> None:
    client = FakeClient(routes=[Route(pattern="*", customer_key="k", deliver="ftp")])
    rules = RoutingRules(definitions=client, routes=client.routes)  # type: ignore[arg-type]
    intake = Intake("s", Submitter(client, rules, lambda: 0.0, lambda: NOON))  # type: ignore[arg-type]
    files = [FileInfo(location="/in", name=name, version="1") for name in ("a.csv", "b.csv")]
    answers = intake.take_many([Arrival(file=each) for each in files])
    assert [isinstance(each, InvalidRequest) for each in answers] == [True, True]
    assert client.started == []

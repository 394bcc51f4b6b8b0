"""All that is wrong in the policy file is said at once: routes, sources and targets."""

from pathlib import Path

import pytest

from sfmc_import.errors import SettingsError
from sfmc_import.settings import load
from sfmc_producers.sources.kinds import KINDS
from sfmc_producers.sources.tables import problems_in

WRONG = """
[[source]]
name = "a"
kind = "folder"
foo = 1

[[source]]
name = "b"
kind = "ftp"

[[route]]
pattern = "x"
customer_key = "{9}"
unpack = "rar"

[[target]]
name = "eftp"
kind = "sftp"
port = 0

[[target]]
name = "old"
kind = "ftp"
"""


def problems(tmp_path: Path, text: str, *names: str) -> list[str]:
    policy = tmp_path / "policy.toml"
    policy.write_text(text)
    with pytest.raises(SettingsError) as raised:
        load({"SFMC_CONFIG": str(policy)}, more=problems_in(lambda table: not names or table.name in names, KINDS))
    return raised.value.problems


def said(found: list[str], *parts: str) -> list[str]:
    return [part for part in parts if not any(part in each for each in found)]


def test_a_wrong_route_hides_no_wrong_source_or_target(tmp_path) -> None:
    found = problems(tmp_path, WRONG)
    assert said(found, "unpack", "foo", "path", "'ftp'", "port", "host", "user") == []
    assert len(found) == len(set(found))


def test_only_the_sources_that_are_asked_for_are_looked_at(tmp_path) -> None:
    found = problems(tmp_path, WRONG, "a")
    assert said(found, "foo", "unpack", "port") == []
    assert not any("[[source]] 2" in each or "source b" in each for each in found)


NOWHERE = """
[[source]]
name = "a"
kind = "folder"
foo = 1

[[source]]
name = "c"
kind = "folder"
path = "/in"

[[source.route]]
pattern = "y"
customer_key = "k"
deliver = "gone"

[[route]]
pattern = "x"
customer_key = "k"
deliver = "nowhere"

[[route]]
pattern = "z"
customer_key = "k"
deliver = "sftp"

[[target]]
name = "eftp"
kind = "sftp"
location = "ExactTarget Enhanced FTP"
port = 0
"""


def test_a_wrong_source_or_target_hides_no_route_that_leads_nowhere(tmp_path) -> None:
    found = problems(tmp_path, NOWHERE)
    assert said(found, "foo", "port", "no [[target]] nowhere", "no [[target]] gone") == []
    assert not any("[[route]] z" in each for each in found)

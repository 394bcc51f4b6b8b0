"""All that is wrong in the policy file is said at once: routes, sources and targets."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from sfmc_import.errors import SettingsError
from sfmc_import.settings import load
from sfmc_producers.delivery.sftp import SftpOptions
from sfmc_producers.sources.commands import Opening, open_all
from sfmc_producers.sources.kinds import KINDS
from sfmc_producers.sources.tables import chosen, problems_in, read_options

assert SftpOptions, "loading asyncssh starts a process, which no test may"

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


NESTED = """
[[source]]
name = "c"
kind = "push"
form = "x"

[[source.route]]
pattern = "a"
customer_key = "{9}"
preflight = {rows = -1, secret = "s3cr3t"}

[[source.route]]
paths = "b"
customer_key = "k"

[[source.route]]
pattern = "c"
customer_key = {password = "s3cr3t"}
unpack = "rar"

[[source]]
kind = "folder"
path = "/in"

[[source]]
name = "d"
kind = "folder"
foo = 1

[[target]]
name = "s3"
kind = "s3"
"""


def test_each_wrong_line_of_a_table_within_a_source_is_said_and_no_table_is_printed(tmp_path) -> None:
    found = problems(tmp_path, NESTED)
    begin = f"{tmp_path}/policy.toml [[source]] c "
    assert said(found, f"{begin}form: 'x'", f"{begin}auth: missing", "[[source]] 2 name: missing", "d foo") == []
    assert said(found, f"{begin}route 1 preflight rows: -1", f"{begin}route 1 preflight secret:") == []
    assert said(found, f"{begin}route 2 pattern: missing", f"{begin}route 2 paths:") == []
    assert said(found, f"{begin}route 3 unpack: 'rar'", f"{begin}route 3 customer_key: input") == []
    assert not any("s3cr3t" in each or "{" in each.replace("may hold {1} or {name}", "") for each in found)


def test_a_rule_that_a_route_of_a_source_breaks_is_said_with_its_number(tmp_path) -> None:
    route = '[[source.route]]\npattern = "a"\ncustomer_key = "k"\n'
    text = f'[[source]]\nname = "d"\nkind = "folder"\npath = "/in"\n{route}{route}deliver_as = "b"\n'
    [line] = problems(tmp_path, text)
    assert "[[source]] d route 2: deliver_as is for files that are delivered" in line


SECRETS = """
[[source]]
name = "c"
kind = "push"
form = "s3-webhook"
auth = "bearer"
[source.content]
kind = "gcs"
bucket = "drop"

[[source]]
name = "d"
kind = "push"
form = "event-grid"
auth = "hmac"
[source.content]
kind = "azure"
account = "acc"
container = "drop"

[[source]]
name = "e"
kind = "sftp"
host = "h"
user = "u"
dir = "/in"
host_keys = ["SHA256:cF6tXkYpE0GmRqPyEeS0lQdVdbQz3dNnLr0tZk8nW1o"]

[[source.route]]
pattern = "*.asc"
customer_key = "k"
deliver = "sftp"
unpack = "pgp"
verify_with = "/none/a.asc"

[[route]]
pattern = "*.pgp"
customer_key = "k"
deliver = "t"
unpack = "pgp"
verify_with = ["/none/b.asc", "/none/c.asc"]

[[target]]
name = "t"
kind = "sftp"
location = "ExactTarget Enhanced FTP"
host = "h"
user = "u"
folder = "/"
host_keys = ["SHA256:cF6tXkYpE0GmRqPyEeS0lQdVdbQz3dNnLr0tZk8nW1o"]
"""
MISSING = (
    "SFMC_TARGET_T_PASSWORD",
    "SFMC_TARGET_T_PGP_KEY: missing",
    "verify_with: /none/a.asc: No such file",
    "verify_with: /none/b.asc: No such file",
    "verify_with: /none/c.asc: No such file",
    "SFMC_SOURCE_C_CONTENT_ACCESS_KEY and SFMC_SOURCE_C_CONTENT_SECRET_KEY",
    "SFMC_SOURCE_D_CONTENT_CONNECTION: missing",
    "SFMC_SOURCE_E_PASSWORD",
)


def test_all_secrets_and_key_files_that_are_missing_are_said_at_once(tmp_path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(SECRETS)
    settings = load({"SFMC_CONFIG": str(policy), "SFMC_ACCOUNT_ID": "1"})
    tables = chosen(settings, [])
    with ExitStack() as stack, pytest.raises(SettingsError) as raised:
        open_all(Opening(settings, stack), tables, read_options(tables, KINDS))
    assert said(raised.value.problems, *MISSING) == []
    assert len(raised.value.problems) == len(MISSING)

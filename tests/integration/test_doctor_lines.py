"""`doctor` reads the lines of sources and targets of the policy file too."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sfmc_import.cli.main import cli

WRONG = """
[[source]]
name = "arr"
kind = "folder"
folder = "/data/in"

[[source]]
name = "partner"
kind = "sftp"
host = "sftp.example.com"
user = "u"
folder = "/drop"

[[target]]
name = "ftp"
kind = "ftp"
"""
API = {"SFMC_API_URL": "http://127.0.0.1:9", "SFMC_API_TOKEN": "x" * 40}
REDIS = {
    "SFMC_REDIS_URL": "redis://127.0.0.1:9/0",
    "SFMC_ACCOUNT_ID": "510001234",
    "SFMC_AUTH_URL": "http://127.0.0.1:9",
    "SFMC_SOAP_URL": "http://127.0.0.1:9/Service.asmx",
    "SFMC_CLIENT_ID": "c",
    "SFMC_CLIENT_SECRET": "s",
}


def doctor(folder: Path, lines: str, env: dict[str, str]) -> Result:
    policy = folder / "policy.toml"
    policy.write_text(lines)
    return CliRunner().invoke(cli, ["doctor"], env={**env, "SFMC_CONFIG": str(policy)})


@pytest.mark.parametrize(
    "env", [pytest.param(API, id="api", marks=pytest.mark.nightly), pytest.param(REDIS, id="redis")]
)
def test_doctor_names_each_wrong_line_of_a_source_or_target_and_goes_on(tmp_path: Path, env: dict[str, str]) -> None:
    done = doctor(tmp_path, WRONG, env)
    said = " ".join(done.output.split())

    assert done.exit_code == 1
    assert "settings all are valid" not in said
    assert "FAIL settings" in said
    assert "[[source]] arr folder: " in said
    assert "[[source]] partner folder: " in said
    assert "[[target]] ftp kind: " in said
    assert "FAIL login" in said or "FAIL api" in said


def test_doctor_says_of_right_lines_that_they_are_valid(tmp_path: Path) -> None:
    right = '[[source]]\nname = "arr"\nkind = "folder"\npath = "/data/in"\n'

    assert "all are valid" in doctor(tmp_path, right, REDIS).output


def test_doctor_names_the_wrong_lines_of_others_too_where_a_schedule_is_wrong(tmp_path: Path) -> None:
    schedule = '[[source]]\nname = "night"\nkind = "schedule"\ncustomer_key = "K"\ncron = "nonsense"\n'
    said = " ".join(doctor(tmp_path, WRONG + schedule, REDIS).output.split())

    assert "nonsense" in said
    assert "[[source]] partner folder: " in said
    assert "[[target]] ftp kind: " in said


NIGHT = '[[source]]\nname = "night"\nkind = "schedule"\ncustomer_key = "K"\ncron = "nonsense"\n'


@pytest.mark.parametrize(
    ("lines", "env", "asked"),
    [
        (NIGHT, REDIS, {"Redis", "login"}),
        pytest.param(NIGHT, API, {"api"}, marks=pytest.mark.nightly),
        ("", REDIS | {"SFMC_LEASE_SECONDS": "soon"}, {"Redis", "login"}),
        ("", REDIS | {"SFMC_SOAP_URL": "nonsense"}, {"Redis"}),
        ("", REDIS | {"SFMC_CLIENT_SECRET": ""}, {"Redis"}),
        ("", REDIS | {"SFMC_REDIS_URL": "nonsense"}, {"login"}),
        ("", REDIS | {"SFMC_SECRETS_DIR": "/nowhere", "SFMC_CLIENT_SECRET": ""}, set()),
        ("", API | {"SFMC_API_TOKEN": ""}, set()),
    ],
    ids=["schedule", "schedule, api", "another", "address", "login", "redis", "secrets", "token"],
)
def test_doctor_asks_all_for_which_the_settings_are_sound(
    tmp_path: Path, lines: str, env: dict[str, str], asked: set[str]
) -> None:
    checks = [line.split()[1] for line in doctor(tmp_path, lines, env).output.splitlines() if line.startswith("FAIL")]

    assert checks[0] == "settings"
    assert {*checks} & {"Redis", "login", "api"} == asked

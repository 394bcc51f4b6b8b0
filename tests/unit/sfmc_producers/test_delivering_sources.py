"""Which sources may be used with routes that deliver."""

import tomllib
from types import SimpleNamespace
from typing import Any

import pytest

from sfmc_import.errors import SettingsError
from sfmc_import.request import FileInfo
from sfmc_import.settings import Route, load
from sfmc_import.settings.policy_file import read_tables
from sfmc_producers.delivery.opening import require_keys
from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.sources.intake import Intake
from sfmc_producers.submitter import InvalidRequest, RoutingRules, Submitter
from tests.support.fake_client import FakeClient
from tests.support.sources import example_of
from tests.support.watched_folder import NOON


def route_with(line: str) -> list[str]:
    """What is wrong with the route of the page when it has this line too."""
    problems: list[str] = []
    text = example_of("delivery", **{'deliver = "sftp"': f'deliver = "sftp"\n{line}'})
    read_tables(tomllib.loads(text), "policy.toml", problems)
    return problems


@pytest.mark.parametrize("value", ['"gz"', '["pgp", "gz"]', '["zip", "pgp"]', "[]"])
def test_a_route_names_one_form_or_several(value: str) -> None:
    assert route_with(f"unpack = {value}") == []


@pytest.mark.parametrize(
    ("value", "said"), [('"rar"', "unpack"), ('["pgp", "zip"]', "so it comes first"), ("1", "unpack")]
)
def test_a_form_that_cannot_be_unpacked_on_the_way_is_refused_in_one_line(value: str, said: str) -> None:
    [line] = route_with(f"unpack = {value}")
    assert line.startswith("policy.toml [[route]] 1 ")
    assert said in line


def test_a_route_that_delivers_nothing_unpacks_nothing() -> None:
    problems: list[str] = []
    text = '[[route]]\npattern = "*"\ncustomer_key = "k"\nunpack = "gz"\n'
    read_tables(tomllib.loads(text), "policy.toml", problems)
    [line] = problems
    assert "unpack is for files that are delivered" in line


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('unpack = "gz"\nverify_with = "a.asc"', "add pgp to unpack"),
        ('verify_with = "a.asc"', "add pgp to unpack"),
        ('unpack = "pgp"\nverify_with = []', "verify_with"),
    ],
)
def test_keys_that_verify_nothing_are_refused_in_one_line(lines: str, said: str) -> None:
    [line] = route_with(lines)
    assert said in line


@pytest.mark.parametrize("deliver", ["my-ftp", "sftp"])
def test_a_route_that_decrypts_names_the_secret_that_is_missing(deliver: str) -> None:
    routes = [Route(pattern="*", customer_key="k", deliver=deliver, unpack=("pgp",))]
    options = SimpleNamespace(location="Enhanced FTP")
    target: Any = SimpleNamespace(decrypt=None, name="my-ftp", kind="sftp", options=options)
    with pytest.raises(SettingsError, match="SFMC_TARGET_MY_FTP_PGP_KEY: missing"):
        require_keys(routes, {"my-ftp": target})


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

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sfmc_import.redaction import hidden
from sfmc_import.settings import SettingsError, described, load

LOGIN = {
    "SFMC_AUTH_URL": "https://tenant.auth.marketingcloudapis.com/",
    "SFMC_SOAP_URL": "https://tenant.soap.marketingcloudapis.com/Service.asmx",
    "SFMC_CLIENT_ID": "id",
    "SFMC_CLIENT_SECRET": "very secret",
    "SFMC_ACCOUNT_ID": "510001234",
}


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder has no policy file."""
    monkeypatch.chdir(tmp_path)


def problems(environ: dict[str, str], **options: bool) -> list[str]:
    with pytest.raises(SettingsError) as wrong:
        load(environ, **options)
    return wrong.value.problems


def test_nothing_has_to_be_set() -> None:
    settings = load({})

    assert settings.redis_url == "redis://127.0.0.1:6379/0"
    assert settings.broker.celery_url == "redis://127.0.0.1:6379/0"
    assert settings.account_id == ""


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({"SFMC_API_URL": "https://api.test"}, "SFMC_API_TOKEN: missing, but SFMC_API_URL is given"),
        ({"SFMC_API_URL": "https://ann:pw@api.test"}, "contains a login; give a token in SFMC_API_TOKEN"),
        ({"SFMC_API_URL": "api.test"}, "not an address such as https://host"),
        ({"SFMC_API_TOKEN": "sfmc_ü"}, "SFMC_API_TOKEN: has characters that no token has"),
        ({"SFMC_API_TOKEN": "sfmc_a\nb"}, "SFMC_API_TOKEN: has characters that no token has"),
    ],
)
def test_an_api_needs_its_token_and_both_are_what_a_request_can_carry(environ: dict[str, str], problem: str) -> None:
    [found] = problems(environ)

    assert problem in found
    assert ":pw@" not in found
    assert "ü" not in found


def test_a_token_of_the_api_is_a_secret() -> None:
    settings = load({"SFMC_API_URL": "https://api.test", "SFMC_API_TOKEN": "sfmc_abcdefgh"})

    assert "sfmc_abcdefgh" in settings.secrets()
    assert "sfmc_abcdefgh" not in repr(settings)


def test_variables_are_read_by_their_names() -> None:
    settings = load({"SFMC_CONCURRENCY": "8", "SFMC_POOL": "prefork", "SFMC_WAIT_REPLICAS": "1"})

    assert (settings.concurrency, settings.pool, settings.wait_replicas) == (8, "prefork", 1)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("1.5m", 90), ("6h", 21600), ("2d", 172800), (" 15 m ", 900)]
)
def test_a_time_may_have_a_unit(text: str, seconds: float) -> None:
    assert load({"SFMC_RETRY_DEADLINE": text}).retry_deadline == seconds


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load({"SFMC_REDIS_URL": "", "SFMC_CONCURRENCY": " "}).concurrency == 32


def test_variables_of_other_programs_are_left_alone() -> None:
    assert load({"PATH": "/bin", "CELERY_X": "1"}).concurrency == 32


def test_variables_of_the_compose_file_and_of_the_sandbox_are_left_alone() -> None:
    names = ("IMAGE", "ARRIVALS", "ENV_FILE", "POLICY_FILE", "SANDBOX_CLIENT_ID")

    assert load({f"SFMC_{name}": "x" for name in names}).concurrency == 32


def test_words_may_be_written_in_any_case() -> None:
    assert load({"SFMC_LOG_LEVEL": "INFO", "SFMC_POOL": " Solo "}).log_level == "info"


def test_all_problems_are_reported_at_once() -> None:
    found = problems(
        {
            "SFMC_REDIS_URL": "http://x",
            "SFMC_CONCURRENCY": "many",
            "SFMC_POOL": "gevent",
            "SFMC_TIME_ZONE": "Mars/Olympus",
            "SFMC_READ_TIMEOUT": "-1",
            "SFMC_CONCURENCY": "3",
            "SFMC_FOLLOW_MIN_INTERVAL": "90",
        }
    )

    names = {line.split(":")[0] for line in found}
    assert names == {
        "SFMC_REDIS_URL", "SFMC_CONCURRENCY", "SFMC_POOL", "SFMC_TIME_ZONE", "SFMC_READ_TIMEOUT", "SFMC_CONCURENCY",
        "SFMC_FOLLOW_MIN_INTERVAL",
    }  # fmt: skip
    assert len(found) == 7


def test_a_problem_names_the_value_and_what_is_expected() -> None:
    (line,) = problems({"SFMC_CONCURRENCY": "many"})

    assert "'many'" in line
    assert "1 to 512" in line


def test_a_mistyped_name_is_guessed() -> None:
    (line,) = problems({"SFMC_ACOUNT_ID": "1"})

    assert line == "SFMC_ACOUNT_ID: there is no such setting; did you mean SFMC_ACCOUNT_ID?"


def test_a_name_that_is_like_no_other_leads_to_the_list_of_all_settings() -> None:
    (line,) = problems({"SFMC_FOO": "1"})

    advice = "remove it, or list all settings with: sfmc-import doctor --settings"
    assert line == f"SFMC_FOO: there is no such setting; {advice}"


def test_every_variable_is_described_with_its_default() -> None:
    listed = {name: (default, meaning) for name, default, meaning in described()}

    assert listed["SFMC_RETRY_DEADLINE"][0] == "21600"
    assert listed["SFMC_CLIENT_SECRET"][0] == ""
    assert set(LOGIN) | {"SFMC_CONFIG", "SFMC_SECRETS_DIR"} <= set(listed)
    assert all(meaning for _, meaning in listed.values())


@pytest.mark.parametrize(
    ("environ", "secret"),
    [
        ({"SFMC_REDIS_URL": "ftp://user:geheim@host"}, "geheim"),
        ({"SFMC_REDIS_URL": "redis://:geheim@host:port"}, "geheim"),
        ({"SFMC_BROKER_URL": "redis://:ge/heim@host"}, "heim"),
        ({"SFMC_CLIENT_SECRET": "geheim"}, "geheim"),
        ({"SFMC_PASSWORD": "geheim", "SFMC_POOL": "?"}, "geheim"),
    ],
)
def test_no_problem_shows_a_secret(environ: dict[str, str], secret: str) -> None:
    assert secret not in "\n".join(problems(environ))


def test_settings_do_not_show_their_secrets() -> None:
    settings = load(LOGIN | {"SFMC_REDIS_URL": "redis://u:geheim@host/0"})

    shown = f"{settings!r} {settings} {settings.redis!r} {settings.redis.shown}"
    assert "geheim" not in shown
    assert "very secret" not in shown
    assert set(settings.secrets()) == {"very secret", "geheim"}


def test_a_complete_login_is_asked_for_where_it_is_needed() -> None:
    assert load(LOGIN, marketing_cloud=True).client_secret.get_secret_value() == "very secret"
    assert {line.split(":")[0] for line in problems({}, marketing_cloud=True)} == set(LOGIN)


def test_a_user_and_a_password_replace_the_client() -> None:
    legacy = {"SFMC_USERNAME": "u", "SFMC_PASSWORD": "p"} | {n: LOGIN[n] for n in ("SFMC_SOAP_URL", "SFMC_ACCOUNT_ID")}

    assert load(legacy, marketing_cloud=True).username == "u"


def test_a_policy_file_must_not_name_business_units_that_a_user_name_cannot_choose(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(
        '[[definition]]\ncustomer_key = "k"\nmid = "510001234"\n[[route]]\npattern = "*"\ncustomer_key = "k"\n'
    )
    legacy = {"SFMC_USERNAME": "u", "SFMC_PASSWORD": "p", "SFMC_ACCOUNT_ID": "0510001234", "SFMC_CONFIG": str(policy)}
    assert load(legacy).account_id == "510001234"

    policy.write_text('[[route]]\npattern = "*"\ncustomer_key = "k"\nmid = "7"\n')
    (line,) = problems(legacy)
    assert line.startswith("SFMC_USERNAME: this login cannot choose the business unit 7")


def test_half_a_login_is_reported_once() -> None:
    half = {name: value for name, value in LOGIN.items() if name != "SFMC_CLIENT_SECRET"}

    assert problems(half, marketing_cloud=True) == [
        "SFMC_CLIENT_SECRET: missing, but SFMC_CLIENT_ID is given; give both or neither"
    ]


def test_a_lease_must_outlast_a_call() -> None:
    (line,) = problems({"SFMC_LEASE_SECONDS": "60"})

    assert line.startswith("SFMC_LEASE_SECONDS: 60 is shorter than one call can take; give 127 or more")
    assert load({"SFMC_LEASE_SECONDS": "60", "SFMC_READ_TIMEOUT": "30"}).lease_seconds == 60


def test_confirmation_by_no_replica_is_refused() -> None:
    (line,) = problems({"SFMC_DURABILITY": "wait"})

    assert line.startswith("SFMC_WAIT_REPLICAS")


def test_a_missing_ca_bundle_is_reported(tmp_path: Path) -> None:
    (line,) = problems({"SFMC_CA_BUNDLE": str(tmp_path / "none.pem")})

    assert "none.pem" in line


@pytest.fixture
def secrets_dir(tmp_path: Path) -> Callable[..., dict[str, str]]:
    def make(**files: str) -> dict[str, str]:
        folder = tmp_path / "secrets"
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
        return {"SFMC_SECRETS_DIR": str(folder)}

    return make


def test_secrets_come_from_files(secrets_dir: Callable[..., dict[str, str]]) -> None:
    environ = secrets_dir(sfmc_client_secret="geheim\n", sfmc_client_id="id\n", db_password="not ours")

    settings = load(environ)

    assert settings.client_secret.get_secret_value() == "geheim"
    assert settings.client_id == "id"


def test_a_variable_wins_over_a_file(secrets_dir: Callable[..., dict[str, str]]) -> None:
    environ = secrets_dir(sfmc_account_id="1") | {"SFMC_ACCOUNT_ID": "2"}

    assert load(environ).account_id == "2"


def test_a_file_with_a_wrong_name_is_reported(secrets_dir: Callable[..., dict[str, str]]) -> None:
    (line,) = problems(secrets_dir(sfmc_client_sekret="geheim"))

    assert "did you mean SFMC_CLIENT_SECRET?" in line
    assert "geheim" not in line


def test_a_named_secrets_folder_must_exist(tmp_path: Path) -> None:
    (line,) = problems({"SFMC_SECRETS_DIR": str(tmp_path / "none")})

    assert line.startswith("SFMC_SECRETS_DIR")


def test_the_policy_file_is_found_in_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "sfmc-import.toml").write_text('[defaults]\nwhen_too_soon = "drop"\n')

    assert load({}).policy("1", "any").when_too_soon == "drop"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [("a = = 1", "not valid TOML"), ("[default]\n", "did you mean defaults?"), (None, "cannot be")],
)
def test_an_unusable_policy_file_is_reported(tmp_path: Path, content: Any, complaint: str) -> None:
    file = tmp_path / "policy.toml"
    if content is not None:
        file.write_text(content)

    (line,) = problems({"SFMC_CONFIG": str(file)})

    assert complaint in line
    assert "policy.toml" in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SFMC_AUTH_URL", "http://user:geheim@host"),
        ("SFMC_ACCOUNT_ID", "a" * 150 + "?x=https://user:" + "geheim" * 40 + "@host"),
        ("SFMC_TIME_ZONE", "redis://:geheim@host/0"),
        ("SFMC_REDIS_URL", "redis://:ge?heim=1@host/0"),
        ("SFMC_REDIS_URL", "redis://:x/geheim@host/0"),
    ],
)
def test_a_wrong_value_is_shown_without_the_login_in_it(name: str, value: str) -> None:
    [problem] = problems({name: value})

    assert problem.startswith(name)
    assert "heim" not in problem


def test_the_secrets_of_the_settings_are_known_to_whatever_prints() -> None:
    load({**LOGIN, "SFMC_REDIS_URL": "redis://:geheim@host/0"})

    assert hidden("very secret and geheim") == "[redacted] and [redacted]"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SFMC_REQUEST_TTL", "1e308"),
        ("SFMC_LEASE_SECONDS", "1000000000000000000"),
        ("SFMC_STREAM_MAXLEN", "1" + "0" * 23),
        ("SFMC_SOAP_URL", "https://x:abc/Service.asmx"),
        ("SFMC_SOAP_URL", "https://x:99999/Service.asmx"),
        ("SFMC_SOAP_URL", "https://a b/Service.asmx"),
        ("SFMC_CLIENT_SECRET", "a\x00b"),
        ("SFMC_PASSWORD", "a\x1bb"),
        ("SFMC_USERNAME", "a\uffffb"),
    ],
)
def test_a_value_that_no_part_could_use_is_refused_when_the_settings_are_read(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load({name: value})


def test_a_policy_file_that_has_no_end_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for endless in ("/dev/zero", str(tmp_path / "pipe")):
        with pytest.raises(SettingsError, match="not a regular file"):
            load({"SFMC_CONFIG": endless})


TOKEN_KEY = "k3PPx0vVwcYmD7Wm6f9J1pTqk0X4mB2Yc8QnT5rZs_0="


@pytest.mark.parametrize("text", ["short", TOKEN_KEY[:-2], TOKEN_KEY.replace("_", "/"), "ü" * 43])
def test_a_key_that_cannot_seal_is_one_line_without_the_key(text: str) -> None:
    [problem] = problems({"SFMC_TOKEN_KEY": text})

    assert problem.startswith("SFMC_TOKEN_KEY: not 32 bytes as url-safe base64; make a key with: openssl rand")
    assert "\n" not in problem
    assert text not in problem


def test_a_key_to_seal_tokens_with_is_a_secret_and_may_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "sfmc_token_key").write_text(f"{TOKEN_KEY}\n")
    settings = load({"SFMC_SECRETS_DIR": str(tmp_path)})

    assert settings.token_key.get_secret_value() == TOKEN_KEY
    assert TOKEN_KEY not in repr(settings) + hidden(TOKEN_KEY)


def test_a_key_without_its_library_is_one_line_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    [problem] = problems({"SFMC_TOKEN_KEY": TOKEN_KEY})

    assert problem.startswith("SFMC_TOKEN_KEY: needs cryptography, which is not installed")
    assert "pip install 'sfmc-import[tokens]'" in problem
    assert load({}).token_key.get_secret_value() == ""

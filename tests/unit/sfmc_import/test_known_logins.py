"""What tells logins of processes apart: all that they differ in, and no secret."""

import pytest

from sfmc_import.known_logins import ID_DIGITS, known_login
from sfmc_import.permits import Login
from sfmc_import.settings import load

NAME, SECRET = "abcdefghij0123456789wxyz", "secret-of-the-package-0123456789"
GIVEN = {
    "SFMC_CLIENT_ID": NAME,
    "SFMC_CLIENT_SECRET": SECRET,
    "SFMC_AUTH_URL": "https://a.auth.marketingcloudapis.com",
    "SFMC_SOAP_URL": "https://a.soap.marketingcloudapis.com/Service.asmx",
    "SFMC_ACCOUNT_ID": "7",
}


def login(**more: str) -> Login:
    return known_login(load(GIVEN | more))


def test_the_same_login_is_the_same_in_each_process():
    assert login() == login(SFMC_CALLS_PER_MINUTE="600", SFMC_ACCOUNT_ID="8")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SFMC_CLIENT_SECRET", "an-old-secret"),
        ("SFMC_CLIENT_ID", "another-package-0123456789"),
        ("SFMC_AUTH_URL", "https://b.auth.marketingcloudapis.com"),
        ("SFMC_PROXY", "http://user:wrong@proxy:3128"),
    ],
)
def test_another_login_or_another_way_to_it_is_another_one(name: str, value: str):
    assert login(**{name: value}).id != login().id


def test_another_password_of_a_proxy_is_another_way():
    one, other = (login(SFMC_PROXY=f"http://user:{word}@proxy:3128") for word in ("right", "wrong"))

    assert one.id != other.id


def test_a_login_shows_the_beginning_of_its_name_alone():
    found = login()

    assert found.shown == "client id abcd…"
    assert len(found.id) == ID_DIGITS
    assert login(SFMC_CLIENT_ID="short").shown == "client id …"


def test_a_legacy_login_shows_the_beginning_of_its_user():
    given = {name: value for name, value in GIVEN.items() if "CLIENT" not in name and "AUTH" not in name}
    found = known_login(load(given | {"SFMC_USERNAME": "ann@example.org", "SFMC_PASSWORD": "summer"}))

    assert found.shown == "user ann@…"
    assert "summer" not in repr(found)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfmc_import.redaction import KNOWN, MOST_PASSING, Redactor, Secrets, hidden

SECRET = "Zt7-geheim/x"


def cleaned(**fields: object) -> dict[str, object]:
    return Redactor([SECRET])(None, "info", fields)


@pytest.mark.parametrize(
    "name", ["password", "SFMC_PASSWORD", "client_secret", "access_token", "Authorization", "fueloauth", "api_key"]
)
def test_fields_named_like_secrets_are_hidden(name: str) -> None:
    assert cleaned(**{name: "anything"}) == {name: "[redacted]"}


def test_numbers_under_such_names_stay() -> None:
    assert cleaned(token_timeout=30, secrets_found=2, token_valid=True) == {
        "token_timeout": 30,
        "secrets_found": 2,
        "token_valid": True,
    }


def test_a_known_secret_is_hidden_wherever_it_stands() -> None:
    record = cleaned(
        event=f"said {SECRET}!",
        deep={"list": [f"a{SECRET}b", {"x": SECRET}], "other": 1},
        error=ValueError(f"bad {SECRET}"),
        address="redis://h?x=Zt7-geheim%2Fx",
    )

    assert "geheim" not in repr(record)
    assert record["event"] == "said [redacted]!"
    assert record["error"] == "bad [redacted]"


@pytest.mark.parametrize(
    "text",
    [
        "redis://user:geheim@host/0",
        "Authorization: Bearer geheim.geheim-1",
        "<fueloauth>geheim</fueloauth>",
        '<wsse:Password Type="…#PasswordText">geheim</wsse:Password>',
    ],
)
def test_secrets_that_no_one_named_are_known_by_their_place(text: str) -> None:
    assert "geheim" not in str(cleaned(text=text)["text"])


def test_secrets_learned_later_are_hidden_from_then_on() -> None:
    redactor = Redactor()
    redactor.hide("later-token")

    assert redactor(None, "info", {"event": "got later-token"}) == {"event": "got [redacted]"}


def test_ordinary_records_stay_as_they_are() -> None:
    record = {"event": "import_started", "task_id": "4712", "attempt": 1, "file": None, "url": "https://host/path"}

    assert cleaned(**record) == record


@given(secret=st.text(min_size=4), before=st.text(), after=st.text())
def test_no_text_around_a_secret_keeps_it_visible(secret: str, before: str, after: str) -> None:
    assert secret not in Redactor([secret]).clean_text(f"{before}{secret}{after}").replace("[redacted]", "")


LONG = "".join(f"{number:04x}" for number in range(800))
"""A token of 3,200 characters that repeats nothing."""


@pytest.mark.parametrize("length", [64, 700, 3000])
@pytest.mark.parametrize("cut", [20, 64, 300, 3000])
def test_a_token_is_hidden_also_where_somebody_else_has_cut_off_its_end(length: int, cut: int) -> None:
    KNOWN.learn(LONG[:length], passing=True)

    shown = hidden(f"Token {LONG[:length][:cut]} is not valid")

    assert shown == "Token [redacted] is not valid"


def test_tokens_come_and_go_and_the_secrets_of_the_settings_stay() -> None:
    secrets = Secrets(["of-the-settings"])
    for number in range(MOST_PASSING + 1):
        secrets.learn(f"{number:06}-passing-token", passing=True)

    assert secrets.hide("of-the-settings 000000-passing-token") == "[redacted] 000000-passing-token"
    assert secrets.hide(f"{MOST_PASSING:06}-passing-token") == "[redacted]"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://:geheim@host/0", "redis://[redacted]@host/0"),
        ("redis://user:ge@heim@host/0", "redis://[redacted]@host/0"),
        ("redis://:ge/heim?#@host/0", "redis://[redacted]@host/0"),
        ("unix://:geheim@/run/x.sock", "unix://[redacted]@/run/x.sock"),
        ("proxy http://geheim@proxy:3128/ refused", "proxy http://[redacted]@proxy:3128/ refused"),
        ("https://host/file?sig=geheim&name=a", "https://host/file?sig=[redacted]&name=a"),
        ("redis://host/0?sentinel_password=geheim", "redis://host/0?sentinel_password=[redacted]"),
        ("Proxy-Authorization: Basic Z2VoZWlt", "Proxy-Authorization: Basic [redacted]"),
        ("https://host:8443/folder/a@b.csv", "https://host:8443/folder/a@b.csv"),
        ("https://host/folder?to=a@b", "https://host/folder?to=a@b"),
        ("redis://host:6379 and a@b", "redis://host:6379 and a@b"),
    ],
)
def test_the_login_of_an_address_is_hidden_and_the_rest_stays(text: str, shown: str) -> None:
    assert hidden(text) == shown

import json
import tracemalloc
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from html import escape
from urllib.parse import quote, quote_plus, urlencode
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfmc_import.redaction import KNOWN, MAX_PASSING_BYTES, Redactor, Secrets, hidden

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
    KNOWN.learn_passing(LONG[:length])

    shown = hidden(f"Token {LONG[:length][:cut]} is not valid")

    assert shown == "Token [redacted] is not valid"


def test_tokens_come_and_go_and_the_secrets_of_the_settings_stay() -> None:
    secrets = Secrets(["of-the-settings"])
    tokens = [f"{number:06}-passing-token{'x' * 1000}" for number in range(MAX_PASSING_BYTES // 1000)]
    for token in tokens:
        secrets.learn_passing(token)

    assert secrets.hide(f"of-the-settings {tokens[0]}") == f"[redacted] {tokens[0]}"
    assert secrets.hide(f"{tokens[-1]} {tokens[500]}") == "[redacted] [redacted]"


def test_tokens_of_any_length_take_the_room_of_one_another() -> None:
    secrets = Secrets()
    tracemalloc.start()
    try:
        for number in range(64):
            secrets.learn_passing(f"{number:03}{'x' * 100_000}")
        assert tracemalloc.get_traced_memory()[0] < 4 * MAX_PASSING_BYTES
    finally:
        tracemalloc.stop()

    assert secrets.hide(f"063{'x' * 100_000}") == "[redacted]"


def test_a_token_is_known_until_it_is_forgotten_as_often_as_it_was_learned() -> None:
    secrets = Secrets()
    for _ in range(2):
        secrets.learn_passing("one-passing-token")
    secrets.learn_passing("one-passing-taken")

    secrets.forget_passing("one-passing-token")
    assert secrets.hide("one-passing-token") == "[redacted]"
    secrets.forget_passing("one-passing-token")
    secrets.forget_passing("one-passing-token")

    assert secrets.hide("one-passing-token one-passing-taken") == "[redacted]oken [redacted]"


def test_a_token_that_is_a_secret_of_the_settings_too_stays_known() -> None:
    secrets = Secrets(["the-same-text"])
    secrets.learn_passing("the-same-text")
    secrets.forget_passing("the-same-text")

    assert secrets.hide("the-same-text") == "[redacted]"


def test_secrets_that_overlap_are_hidden_as_one() -> None:
    assert Secrets(["abcdef", "defghi"]).hide("xabcdefghix") == "x[redacted]x"


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


WRITERS = {
    "JSON": json.dumps,
    "JSON in UTF-8": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON of PHP": lambda text: json.dumps(text).replace("/", "\\/"),
    "JSON of a fault": lambda text: json.dumps({"error": f"said '{text}' or \"{text}\""}),
    "repr": repr,
    "repr with both quotes": lambda text: repr(f"'{text}\""),
    "repr with one quote": lambda text: repr(f"'{text}'"),
    "repr with the other quote": lambda text: repr(f'"{text}"'),
    "repr of an error": lambda text: repr(ValueError(f"no login: '{text}'")),
    "ascii": ascii,
    "repr of bytes": lambda text: repr(text.encode()),
    "repr of bytes with both quotes": lambda text: repr(f"'\"{text}".encode()),
    "an address": lambda text: f"https://host/?x={quote(text, safe='')}",
    "a path": lambda text: f"https://host/{quote(text)}",
    "a form": lambda text: urlencode({"x": text}),
    "a form in lower case": lambda text: quote_plus(text).lower() if text.islower() else quote_plus(text),
    "XML": escape,
    "text of XML": lambda text: escape(text, quote=False),
    "an attribute": quoteattr,
    "XML in ASCII": lambda text: escape(text, quote=False).encode("ascii", "xmlcharrefreplace").decode(),
    "text": str,
}
AWKWARD = st.text(st.sampled_from("ab3\"'\\/&<>%+ =:;{}\né€ü\u2028😀\x7f"), min_size=8, max_size=40).filter(
    lambda text: len(set(text)) > 3
)


def is_hidden(secret: str, write: Callable[[str], str]) -> bool:
    """Whether of what was written only that is left which does not come from the secret; quotes may be escaped."""
    shown = Secrets([secret]).hide(write(secret))
    without = write("QQQQ").replace("QQQQ", "")
    return "[redacted]" in shown and len(shown.replace("[redacted]", "")) <= len(without) + 2


@pytest.mark.parametrize("inner", WRITERS)
@given(secret=AWKWARD)
@settings(max_examples=15)
def test_a_secret_is_hidden_however_it_was_written(inner: str, secret: str) -> None:
    assert is_hidden(secret, WRITERS[inner])


TWICE = [
    (outer, inner) for outer in ("JSON", "repr", "XML", "a form") for inner in ("JSON", "repr", "XML", "an address")
]


@pytest.mark.parametrize(("outer", "inner"), TWICE)
@given(secret=AWKWARD)
@settings(max_examples=15)
def test_a_secret_is_hidden_where_a_written_text_was_written_again(outer: str, inner: str, secret: str) -> None:
    assert is_hidden(secret, lambda text: WRITERS[outer](f"<{WRITERS[inner](text)}>"))


@pytest.mark.parametrize("encode", [b64encode, urlsafe_b64encode])
@given(
    before=st.binary(max_size=40),
    secret=st.text(min_size=10, max_size=60).filter(lambda text: len(set(text)) > 3),
    after=st.binary(max_size=5),
)
@settings(max_examples=15)
def test_a_secret_inside_base64_is_hidden(encode, before: bytes, secret: str, after: bytes) -> None:
    raw = secret.encode()

    shown = Secrets([secret]).hide(encode(before + raw + after).decode())

    assert len(shown.replace("[redacted]", "")) <= (len(before) + len(after)) * 4 / 3 + 8


def test_the_login_of_basic_authentication_is_hidden_without_its_word() -> None:
    login = b64encode(b"client-id:a-client-secret").decode()

    assert Secrets(["a-client-secret"]).hide(login) == "Y2xpZW50LWlkOm[redacted]A=="


@pytest.mark.parametrize(
    "unit", ["://a:", "tokentoken", "token=", "a-", "Bearer ", "Basic ", "<fueloauth>", "a@b.", "sig="]
)
def test_a_long_text_from_outside_takes_a_time_that_grows_with_its_length(unit: str) -> None:
    # With a time that grows with the square of the length this would take minutes.
    assert hidden(unit * 20_000)

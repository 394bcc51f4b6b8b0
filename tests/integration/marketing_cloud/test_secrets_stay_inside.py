"""Tokens, secrets, passwords and envelopes reach no log at any level, no repr, no fault and no exception."""

import json
import logging

import pytest

from sfmc_import.marketing_cloud import PlainSecret
from tests.integration.marketing_cloud.misbehaving import MisbehavingServer, refused_address
from tests.support.fake_soap_replies import fault, found, login_fault, performed, row

MID = "510001234"
TOKEN = "eyJ-the-access-token"
LENGTHS = (64, 700, 3000)
"""Characters of access tokens: of a legacy one, of one of today, and of one with many scopes."""
SECRET = "the-client-secret"
PASSWORD = "the-password"
WITH_TOKEN = {"client_id": "a-client", "client_secret": PlainSecret(SECRET)}
WITH_USER = {"username": "a-user", "password": PlainSecret(PASSWORD)}


class Service:
    """Grants tokens, and answers Perform and Retrieve with what it is given."""

    def __init__(self, start: bytes, query: bytes, status: str = "200 OK") -> None:
        self.start, self.query, self.status = start, query, status

    def __call__(self, connection):
        while request := connection.read():
            if b"/v2/token" in request.partition(b"\r\n")[0]:
                connection.answer(json.dumps({"access_token": TOKEN, "expires_in": 1000}).encode())
            elif b'SOAPAction: "Perform"' in request:
                connection.answer(self.start, self.status)
            else:
                connection.answer(self.query, self.status)


QUOTING = fault(None, f"SOAP Authorization failed for Oauth token: {TOKEN} {PASSWORD} Reason: ParseError.")
SERVICES = {
    "all well": Service(performed(), found(row(CustomerKey="orders"))),
    "login refused": Service(login_fault(), login_fault("Login Failed"), "500 Oops"),
    "a fault that quotes the token": Service(QUOTING, QUOTING, "500 Oops"),
    "an error that quotes the token": Service(
        performed(None, status="Error", text=f"{TOKEN} {PASSWORD}"), found(status=f"Error: {TOKEN} {PASSWORD}")
    ),
    "a client fault that quotes the token": Service(
        fault(5, f"{TOKEN} {PASSWORD}", "soap:Client"), fault(2, f"{TOKEN} {PASSWORD}"), "500 Oops"
    ),
    "an echo of the token": Service(TOKEN.encode() + PASSWORD.encode(), TOKEN.encode() + PASSWORD.encode()),
    "an echo as XML": Service(f"<x>{TOKEN}{PASSWORD}</x>".encode(), f"<x>{TOKEN}{PASSWORD}</x>".encode()),
    "a number that is the token": Service(
        performed(None, status="Error").replace(
            b"<Object", f"<ErrorCode>{TOKEN}{PASSWORD}</ErrorCode><Object".encode()
        ),
        found(row(CustomerKey="k", MaxImportFrequency=TOKEN + PASSWORD)),
    ),
}


@pytest.fixture
def everything_logged(caplog):
    """Log whatever any library is willing to log."""
    caplog.set_level(logging.DEBUG)
    for name in ("zeep", "zeep.transports", "urllib3", "requests", "worker"):
        caplog.set_level(logging.DEBUG, name)
    return caplog


def no_secret_in(text: str, *own: str) -> None:
    for secret in (SECRET, "Envelope>", "fueloauth", *own):
        assert secret not in text


@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize(("login", "own"), [(WITH_TOKEN, TOKEN), (WITH_USER, PASSWORD)], ids=["token", "user"])
def test_nothing_is_shown_whatever_the_service_answers(adapter, everything_logged, capfd, name, login, own):
    with MisbehavingServer(SERVICES[name]) as server:
        service = adapter(server.url, auth_url=server.url, **login)
        shown = [
            service.start(MID, "orders", not_after=float("inf")),
            service.definition(MID, "orders"),
            service.runs(MID, ["1"]),
        ]
        assert any(b"Envelope" in request for request in server.requests)

    no_secret_in(f"{shown!r} {service!r} {vars(service)!r}", own)
    no_secret_in(everything_logged.text, own)
    no_secret_in("".join(capfd.readouterr()), own)


@pytest.mark.parametrize(("login", "own"), [(WITH_TOKEN, TOKEN), (WITH_USER, PASSWORD)], ids=["token", "user"])
def test_nothing_is_shown_when_no_server_answers(adapter, everything_logged, capfd, login, own):
    url = refused_address()
    service = adapter(url, auth_url=url, **login)

    shown = [service.start(MID, "orders", not_after=float("inf")), service.definition(MID, "orders")]

    no_secret_in(f"{shown!r} {everything_logged.text} {capfd.readouterr()}", own)


def test_a_password_that_cannot_be_sent_is_not_shown(adapter, everything_logged):
    service = adapter("http://localhost:9/", username="a-user", password=PlainSecret(f"\x00{PASSWORD}"))

    verdict = service.start(MID, "orders", not_after=float("inf"))

    assert (verdict.code, verdict.account_wide) == ("login_failed", True)
    no_secret_in(f"{verdict!r} {everything_logged.text}", PASSWORD)


def long_token(length: int) -> str:
    return "".join(f"{number:04x}." for number in range(length))[:length]


class Quoting:
    """Grants a token of this length and quotes it, or its beginning, in every fault, after some words."""

    def __init__(self, length: int, words: int, part: float) -> None:
        self.token = long_token(length)
        self.quote = self.token[: max(20, int(length * part))]
        self.text = "word " * words + f"SOAP Authorization failed for Oauth token: {self.quote} Reason: ParseError."

    def __call__(self, connection):
        while request := connection.read():
            if b"/v2/token" in request.partition(b"\r\n")[0]:
                connection.answer(json.dumps({"access_token": self.token, "expires_in": 1000}).encode())
            else:
                connection.answer(fault(None, self.text), "500 Oops")


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(("words", "part"), [(0, 1), (45, 1), (51, 1), (0, 0.3)])
def test_no_half_of_a_token_is_shown_where_a_long_text_is_cut(adapter, everything_logged, length, words, part):
    service = Quoting(length, words, part)
    with MisbehavingServer(service) as server:
        shown = adapter(server.url, auth_url=server.url, **WITH_TOKEN)
        verdicts = [shown.start(MID, "orders", not_after=float("inf")), shown.definition(MID, "orders")]

    text = f"{verdicts!r} {everything_logged.text}"
    assert service.token[:8] not in text
    assert len(verdicts[0].text) <= 300

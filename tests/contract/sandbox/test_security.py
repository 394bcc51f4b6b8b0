"""Tokens, passwords and permissions: who may call, and the answers to the others."""

import pytest
import requests

from tests.support.sandbox_server import ACCOUNT_ID, CLIENT_ID, CLIENT_SECRET, PASSWORD, USERNAME, SandboxProcess
from tests.support.soap_conversation import Conversation, Reply, start, thing

WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
PAYLOAD = start("<CustomerKey>daily</CustomerKey>")


@pytest.fixture(autouse=True)
def _definition(sandbox: SandboxProcess) -> None:
    sandbox.control.define("daily")


def _refused(reply: Reply, text: str) -> bool:
    fault = reply.elements("Fault")[0]
    code = next(child for child in fault if child.tag == "faultcode")
    return (
        reply.status == 500
        and reply.children("Fault") == ["faultcode", "faultstring", "faultactor"]
        and code.text == "q0:Security"
        and code.nsmap["q0"] == WSSE
        and reply.text("faultstring") == text
        and reply.text("faultactor").endswith("/Service.asmx")
        and reply.text("Action") == "http://schemas.xmlsoap.org/ws/2004/08/addressing/fault"
    )


def test_a_token_answer_has_the_fields_of_the_live_service(sandbox: SandboxProcess) -> None:
    fields = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    reply = requests.post(f"{sandbox.url}/v2/token", json={**fields, "account_id": ACCOUNT_ID}, timeout=60)
    token = reply.json()
    assert list(token) == [
        "access_token", "token_type", "expires_in", "scope", "soap_instance_url", "rest_instance_url",
    ]  # fmt: skip
    assert (token["token_type"], token["expires_in"]) == ("Bearer", 1079)
    assert token["scope"].startswith("offline ")
    assert token["soap_instance_url"] == token["rest_instance_url"] == f"{sandbox.url}/"
    found = requests.get(f"{sandbox.url}/platform/v1/endpoints/soap", timeout=60).json()
    assert found == {"url": f"{sandbox.url}/Service.asmx"}


@pytest.mark.parametrize(
    "change",
    [{"client_secret": "wrong"}, {"client_id": "unknown"}, {"account_id": "42"}, {"client_secret": None}],
)
def test_a_bad_client_gets_401_and_invalid_client(sandbox: SandboxProcess, change: dict[str, str | None]) -> None:
    fields = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    reply = requests.post(f"{sandbox.url}/v2/token", json={**fields, **change}, timeout=60)
    assert (reply.status_code, reply.json()["error"]) == (401, "invalid_client")
    assert set(reply.json()) == {"error", "error_description", "error_uri"}


@pytest.mark.parametrize("mid", [[], {}, True, "x", -1])
def test_a_business_unit_that_is_no_number_gets_401(sandbox: SandboxProcess, mid: object) -> None:
    fields = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    reply = requests.post(f"{sandbox.url}/v2/token", json={**fields, "account_id": mid}, timeout=60)
    assert (reply.status_code, reply.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"grant_type": "password"}', b"\xff\xfe"])
def test_a_token_request_that_makes_no_sense_gets_400(sandbox: SandboxProcess, body: bytes) -> None:
    assert requests.post(f"{sandbox.url}/v2/token", data=body, timeout=60).status_code == 400


@pytest.mark.parametrize("namespace", [' xmlns="http://exacttarget.com"', "", ' xmlns="auth"'])
def test_a_token_is_found_in_any_namespace(client: Conversation, namespace: str) -> None:
    header = f"<fueloauth{namespace}>{client.token()}</fueloauth>"
    assert client.call("Perform", PAYLOAD, header=header).text("OverallStatus") == "OK"


@pytest.mark.parametrize("namespace", [' xmlns="http://exacttarget.com"', ""])
def test_the_legacy_token_is_accepted_beside_star_credentials(client: Conversation, namespace: str) -> None:
    fields = {"clientId": CLIENT_ID, "clientSecret": CLIENT_SECRET}
    legacy = requests.post(f"{client.sandbox.url}/v1/requestToken?legacy=1", json=fields, timeout=60).json()
    header = (
        f'<oAuth xmlns="http://exacttarget.com"><oAuthToken{namespace}>{legacy["legacyToken"]}</oAuthToken></oAuth>'
        + _login("*", "*")
    )
    assert client.call("Perform", PAYLOAD, header=header).text("OverallStatus") == "OK"
    assert legacy["expiresIn"] == 3600


def test_a_legacy_token_lives_as_long_as_its_answer_says(client: Conversation, sandbox: SandboxProcess) -> None:
    fields = {"clientId": CLIENT_ID, "clientSecret": CLIENT_SECRET}
    legacy = requests.post(f"{sandbox.url}/v1/requestToken?legacy=1", json=fields, timeout=60).json()
    header = f"<oAuth><oAuthToken>{legacy['legacyToken']}</oAuthToken></oAuth>"
    sandbox.control.advance(legacy["expiresIn"] - 5)
    assert client.call("Perform", PAYLOAD, header=header).status == 200
    sandbox.control.advance(10)
    assert _refused(client.call("Perform", PAYLOAD, header=header), "Token Expired")


def test_a_bad_legacy_client_gets_401(sandbox: SandboxProcess) -> None:
    reply = requests.post(f"{sandbox.url}/v1/requestToken", json={"clientId": "x", "clientSecret": "y"}, timeout=60)
    assert (reply.status_code, reply.json()) == (401, {"message": "Unauthorized", "errorcode": 1, "documentation": ""})


@pytest.mark.parametrize("nonce", ["", "<s:Nonce>R2k=</s:Nonce>"])
def test_a_user_name_and_password_are_accepted_with_and_without_nonce(client: Conversation, nonce: str) -> None:
    assert client.call("Perform", PAYLOAD, header=_login(USERNAME, PASSWORD, nonce)).text("OverallStatus") == "OK"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "<fueloauth>invented</fueloauth>",
        "<fueloauth/>",
        "<oAuth><oAuthToken>invented</oAuthToken></oAuth>",
        "<oAuth/>",
        f'<s:Security xmlns:s="{WSSE}"/>',
    ],
)
def test_whoever_is_unknown_gets_login_failed(client: Conversation, sandbox: SandboxProcess, header: str) -> None:
    assert _refused(client.call("Perform", PAYLOAD, header=header), "Login Failed")
    assert sandbox.control.performs() == []


@pytest.mark.parametrize(("name", "password"), [(USERNAME, "wrong"), ("unknown", PASSWORD), ("*", "*"), ("", "")])
def test_a_wrong_password_gets_login_failed(client: Conversation, name: str, password: str) -> None:
    assert _refused(client.call("Perform", PAYLOAD, header=_login(name, password)), "Login Failed")


def test_an_expired_token_gets_token_expired(client: Conversation, sandbox: SandboxProcess) -> None:
    header = client.header()
    sandbox.control.advance(1199)
    assert client.call("Perform", PAYLOAD, header=header).status == 200
    sandbox.control.advance(2)
    assert _refused(client.call("Perform", PAYLOAD, header=header), "Token Expired")
    assert client.call("Perform", PAYLOAD).status == 200


def test_every_token_can_be_expired_at_once(client: Conversation, sandbox: SandboxProcess) -> None:
    header = client.header()
    sandbox.control.expire_tokens()
    assert _refused(client.call("Perform", PAYLOAD, header=header), "Token Expired")


@pytest.mark.parametrize(
    ("permission", "allowed"),
    [("list-import", "list"), ("data-extension-import", "extension"), ("all-subscribers-import", "everybody")],
)
def test_each_permission_opens_its_destination_and_no_other(
    client: Conversation, sandbox: SandboxProcess, permission: str, allowed: str
) -> None:
    number = client.create(thing("List", "<ListName>some</ListName>")).text("NewID")
    targets = {
        "list": f'<DestinationObject xsi:type="List"><ID>{number}</ID></DestinationObject>',
        "everybody": '<DestinationObject xsi:type="List"><ID>1</ID></DestinationObject>',
        "extension": '<DestinationObject xsi:type="DataExtension"><CustomerKey>daily</CustomerKey></DestinationObject>',
    }
    sandbox.control.add_client("narrow", "s", [permission])
    narrow = Conversation(sandbox, "narrow", "s")
    for name, target in targets.items():
        reply = narrow.create(thing("ImportDefinition", f"<CustomerKey>{name}</CustomerKey>{target}"))
        if name == allowed:
            assert reply.text("OverallStatus") == "OK"
        else:
            assert (reply.status, reply.text("Code"), reply.text("faultcode")) == (500, "11", "soap:Client")


def test_a_client_of_one_business_unit_gets_no_token_for_another(tmp_path) -> None:
    options = ["--account-id", "1001", "--account-id", "1002"]
    with SandboxProcess(options) as sandbox:
        sandbox.control.add_client("narrow", "s", [], mids=[1002])
        fields = {"grant_type": "client_credentials", "client_id": "narrow", "client_secret": "s"}
        statuses = [
            requests.post(f"{sandbox.url}/v2/token", json={**fields, "account_id": mid}, timeout=60).status_code
            for mid in (1001, 1002)
        ]
        assert statuses == [401, 200]


def test_a_user_or_legacy_client_of_one_business_unit_acts_in_that_one() -> None:
    with SandboxProcess(["--account-id", "1001", "--account-id", "1002"]) as sandbox:
        sandbox.control.define("daily", mid=1002)
        sandbox.control.add_client("narrow", "s", [], mids=[1002])
        post(f"{sandbox.url}/_sandbox/callers", {"username": "ann", "password": "s", "mids": [1002]})
        legacy = post(f"{sandbox.url}/v1/requestToken", {"clientId": "narrow", "clientSecret": "s"})["legacyToken"]
        client = Conversation(sandbox)
        for header in (_login("ann", "s"), f"<oAuth><oAuthToken>{legacy}</oAuthToken></oAuth>"):
            assert client.call("Perform", PAYLOAD, header=header).text("OverallStatus") == "OK"
        post(f"{sandbox.url}/_sandbox/callers", {"username": "bob", "password": "s", "mids": [7]})
        assert _refused(client.call("Perform", PAYLOAD, header=_login("bob", "s")), "Login Failed")


def post(url: str, fields: dict[str, object]) -> dict[str, str]:
    reply = requests.post(url, json=fields, timeout=60)
    reply.raise_for_status()
    answer: dict[str, str] = reply.json()
    return answer


def test_a_token_acts_only_in_its_business_unit() -> None:
    with SandboxProcess(["--account-id", "1001", "--account-id", "1002"]) as sandbox:
        sandbox.control.define("daily", mid=1002)
        client = Conversation(sandbox)
        for mid, status in ((1001, "Error"), (1002, "OK")):
            header = f"<fueloauth>{client.token(account_id=mid)}</fueloauth>"
            assert client.call("Perform", PAYLOAD, header=header).text("OverallStatus") == status
        by_client_id = start("<Client><ID>1002</ID></Client><CustomerKey>daily</CustomerKey>")
        assert client.call("Perform", by_client_id).text("OverallStatus") == "OK"


def _login(name: str, password: str, nonce: str = "") -> str:
    return (
        f'<s:Security xmlns:s="{WSSE}"><s:UsernameToken><s:Username>{name}</s:Username>'
        f"<s:Password>{password}</s:Password>{nonce}</s:UsernameToken></s:Security>"
    )

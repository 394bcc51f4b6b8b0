"""What clients in other languages put on the wire, as recorded from them; each starts the import unmodified."""

import http.client

import pytest
import requests

from tests.support.sandbox_server import CLIENT_ID, CLIENT_SECRET, SandboxProcess
from tests.support.soap_conversation import PARTNER, SOAP_11, XSI, Conversation

WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
TEXT = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText"

SFMC_SDK_2 = (
    f'<Envelope xmlns="{SOAP_11}" xmlns:xsi="{XSI}"><Body><PerformRequestMsg xmlns="{PARTNER}"><Action>start</Action>'
    '<Definitions><Definition xsi:type="ImportDefinition"><CustomerKey>daily</CustomerKey></Definition></Definitions>'
    '</PerformRequestMsg></Body><Header><fueloauth xmlns="http://exacttarget.com">{token}</fueloauth></Header>'
    "</Envelope>"
)
FUEL_SOAP_2 = (
    f'<Envelope xmlns="{SOAP_11}" xmlns:xsi="{XSI}">\n  <Body>\n    <PerformRequestMsg xmlns="{PARTNER}">\n'
    '      <Action>start</Action>\n      <Definitions>\n        <Definition xsi:type="ImportDefinition">\n'
    "          <CustomerKey>daily</CustomerKey>\n        </Definition>\n      </Definitions>\n"
    "    </PerformRequestMsg>\n  </Body>\n  <Header>\n"
    '    <fueloauth xmlns="http://exacttarget.com">{token}</fueloauth>\n  </Header>\n</Envelope>'
)
NODE_SOAP_1 = (
    f'<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="{SOAP_11}" xmlns:xsi="{XSI}"  '
    f'xmlns:tns="{PARTNER}"><soap:Header><fueloauth xmlns="http://exacttarget.com">{{token}}</fueloauth></soap:Header>'
    f'<soap:Body><PerformRequestMsg xmlns="{PARTNER}"><Action>start</Action><Definitions>'
    '<Definition xsi:type="tns:ImportDefinition"><CustomerKey>daily</CustomerKey></Definition></Definitions>'
    "</PerformRequestMsg></soap:Body></soap:Envelope>"
)
_SUDS_BODY = (
    "<ns0:Body><ns1:PerformRequestMsg><ns1:Action>start</ns1:Action><ns1:Definitions>"
    '<ns1:Definition xsi:type="ns1:ImportDefinition"><ns1:CustomerKey>daily</ns1:CustomerKey></ns1:Definition>'
    "</ns1:Definitions></ns1:PerformRequestMsg></ns0:Body></SOAP-ENV:Envelope>"
)
_SUDS_START = (
    f'<?xml version="1.0" encoding="UTF-8"?><SOAP-ENV:Envelope xmlns:SOAP-ENV="{SOAP_11}" xmlns:xsi="{XSI}" '
    f'xmlns:wsse="{WSSE}" xmlns:etns="http://exacttarget.com" xmlns:ns0="{SOAP_11}" xmlns:ns1="{PARTNER}">'
)
FUELSDK_PYTHON = (
    f"{_SUDS_START}<SOAP-ENV:Header><etns:fueloauth>{{token}}</etns:fueloauth></SOAP-ENV:Header>{_SUDS_BODY}"
)
FUELSDK_PYTHON_LEGACY = (
    f'{_SUDS_START}<SOAP-ENV:Header><wsse:Security mustUnderstand="true"><wsse:UsernameToken><wsse:Username>*'
    f'</wsse:Username><wsse:Password Type="{TEXT}">*</wsse:Password></wsse:UsernameToken></wsse:Security>'
    f"<etns:oAuth><oAuthToken>{{token}}</oAuthToken></etns:oAuth></SOAP-ENV:Header>{_SUDS_BODY}"
)
_KEEP = {"Connection": "keep-alive", "Accept-Encoding": "gzip, compress, deflate, br"}
_CLOSE = {"Connection": "close", "Accept-Encoding": "identity"}
CLIENTS = {
    "sfmc-sdk 2.1": (SFMC_SDK_2, {"Content-Type": "text/xml", "SOAPAction": "Perform", **_KEEP}),
    "fuel-soap 2.2": (FUEL_SOAP_2, {"Content-Type": "text/xml", "SOAPAction": "Perform", **_KEEP}),
    "node-soap 1.13": (NODE_SOAP_1, {"SOAPAction": '"Perform"', **_KEEP, "Accept-Encoding": "none"}),
    "FuelSDK-Python 1.3 on suds": (FUELSDK_PYTHON, {"Soapaction": '"Perform"', **_CLOSE}),
    "FuelSDK-Python 1.3, legacy": (FUELSDK_PYTHON_LEGACY, {"Soapaction": '"Perform"', **_CLOSE}),
}


@pytest.fixture(autouse=True)
def _definition(sandbox: SandboxProcess) -> None:
    sandbox.control.define("daily")


@pytest.mark.parametrize("name", CLIENTS)
def test_each_client_starts_the_import_and_finds_the_literal_names_it_looks_for(
    client: Conversation, sandbox: SandboxProcess, name: str
) -> None:
    body, headers = CLIENTS[name]
    reply = client.post(body.replace("{token}", client.token()), headers)
    assert (reply.status, reply.text("OverallStatus")) == (200, "OK")
    for literal in (b"<soap:Envelope ", b"<soap:Body>", b"<PerformResponseMsg ", b"<Results><Result>"):
        assert literal in reply.content
    assert len(sandbox.control.performs()) == 1


@pytest.mark.parametrize("name", CLIENTS)
def test_each_client_reads_token_expired_in_the_words_it_tests_for(
    client: Conversation, sandbox: SandboxProcess, name: str
) -> None:
    body, headers = CLIENTS[name]
    token = client.token()
    sandbox.control.expire_tokens()
    reply = client.post(body.replace("{token}", token), headers)
    assert reply.status == 500
    assert b"<soap:Fault>" in reply.content
    assert b"<faultstring>Token Expired</faultstring>" in reply.content


def test_an_address_that_a_client_checks_by_pattern_can_stand_before_the_path(sandbox: SandboxProcess) -> None:
    fields = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    address = f"{sandbox.url}/https://mct0000000000000000000000000.auth.marketingcloudapis.com/v2/token"
    assert requests.post(address, json=fields, timeout=60).json()["token_type"] == "Bearer"
    assert requests.post(f"{sandbox.url}/tenant/v1/requesttoken?legacy=1", json={}, timeout=60).status_code == 401
    assert requests.head(f"{sandbox.url}/tenant/ETFramework.WSDL", timeout=60).status_code == 200
    assert requests.get(f"{sandbox.url}/tenant/v2/token", timeout=60).status_code == 405


def test_one_connection_carries_calls_of_all_operations_in_a_row(client: Conversation) -> None:
    host = client.sandbox.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=60)
    body = SFMC_SDK_2.replace("{token}", client.token())
    for action, status in (("Perform", 200), ("Retrieve", 500), ("Perform", 200)):
        connection.request("POST", "/Service.asmx", body, {"SOAPAction": action, "Content-Type": "text/xml"})
        reply = connection.getresponse()
        reply.read()
        assert (reply.status, reply.will_close) == (status, False)
    connection.close()

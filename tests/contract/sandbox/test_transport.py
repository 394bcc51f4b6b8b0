"""HTTP and envelopes: what is understood and how it is answered, as captures of the live service show it."""

import pytest
import requests

from tests.support.sandbox_server import SandboxProcess
from tests.support.soap_conversation import PARTNER, SOAP_11, SOAP_12, XSI, Conversation, envelope, start

KEY = "<CustomerKey>daily</CustomerKey>"


@pytest.fixture(autouse=True)
def _definition(sandbox: SandboxProcess) -> None:
    sandbox.control.define("daily")


@pytest.mark.parametrize("action", ["Perform", '"Perform"', "'Perform'"])
def test_soapaction_may_be_quoted_or_not(client: Conversation, action: str) -> None:
    assert client.call(action, start(KEY)).text("OverallStatus") == "OK"


@pytest.mark.parametrize("headers", [{}, {"SOAPAction": ""}, {"SOAPAction": '""'}])
def test_without_soapaction_the_addressing_action_counts(client: Conversation, headers: dict[str, str]) -> None:
    action = '<a:Action xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing">Perform</a:Action>'
    reply = client.post(envelope(start(KEY), action + client.header()), headers)
    assert (reply.status, reply.text("OverallStatus")) == (200, "OK")


@pytest.mark.parametrize("action", ["Test", "perform", "", "http://exacttarget.com/Perform", "Query"])
def test_an_unknown_soapaction_is_a_client_fault_with_an_empty_detail(client: Conversation, action: str) -> None:
    reply = client.call(action, start(KEY))
    assert reply.status == 500
    assert reply.text("faultcode") == "soap:Client"
    assert reply.fault == f"Server did not recognize the value of HTTP Header SOAPAction: {action}."
    assert len(reply.elements("detail")[0]) == 0


def test_an_action_that_does_not_fit_the_body_is_not_applied(client: Conversation, sandbox: SandboxProcess) -> None:
    assert client.call("Create", start(KEY)).status == 500
    assert sandbox.control.performs() == []


def test_soap_12_is_answered_in_soap_12_with_the_same_prefix(client: Conversation) -> None:
    reply = client.post(
        envelope(start(KEY), client.header(), SOAP_12),
        {"Content-Type": 'application/soap+xml; charset=utf-8; action="Perform"'},
    )
    assert reply.content.startswith(b'<?xml version="1.0" encoding="utf-8"?><soap:Envelope ')
    assert reply.envelope.tag == f"{{{SOAP_12}}}Envelope"
    assert reply.text("OverallStatus") == "OK"


@pytest.mark.parametrize("header", ["", None])
@pytest.mark.parametrize("kind", ["application/soap+xml", "Application/SOAP+XML; charset=utf-8"])
def test_soap_12_is_answered_with_the_content_type_of_its_request(
    client: Conversation, kind: str, header: str | None
) -> None:
    body = envelope(start(KEY), client.header() if header is None else header, SOAP_12)
    for sent, answered in ((kind, "application/soap+xml"), ("text/xml", "text/xml")):
        reply = client.post(body, {"SOAPAction": "Perform", "Content-Type": sent})
        assert reply.headers["content-type"] == f"{answered}; charset=utf-8"
        assert reply.envelope.tag == f"{{{SOAP_12}}}Envelope"


def test_soap_11_is_answered_as_text_whatever_its_request_is_called(client: Conversation) -> None:
    body = envelope(start(KEY), client.header())
    reply = client.post(body, {"SOAPAction": "Perform", "Content-Type": "application/soap+xml"})
    assert reply.headers["content-type"] == "text/xml; charset=utf-8"
    assert reply.envelope.tag == f"{{{SOAP_11}}}Envelope"


def test_a_soap_12_fault_has_the_structure_of_soap_12(client: Conversation) -> None:
    reply = client.post(envelope(start(KEY), "", SOAP_12), {"SOAPAction": "Perform"})
    assert reply.status == 500
    assert reply.children("Fault") == ["Code", "Reason", "Node"]
    assert reply.fault == "Login Failed"


def test_the_reply_is_one_line_of_utf_8_with_literal_soap_prefixes(client: Conversation) -> None:
    reply = client.perform("daily")
    assert reply.headers["content-type"] == "text/xml; charset=utf-8"
    assert reply.content.startswith(b'<?xml version="1.0" encoding="utf-8"?><soap:Envelope ')
    assert b"\n" not in reply.content
    assert b"<soap:Header>" in reply.content
    assert b"<soap:Body>" in reply.content
    assert b'<PerformResponseMsg xmlns="http://exacttarget.com/wsdl/partnerAPI">' in reply.content


def test_the_reply_header_has_addressing_and_a_timestamp_of_five_minutes(client: Conversation) -> None:
    message_id = '<a:MessageID xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing">urn:uuid:1-2-3</a:MessageID>'
    reply = client.call("Perform", start(KEY), header=message_id + client.header())
    assert reply.children("Header") == ["Action", "MessageID", "RelatesTo", "To", "Security"]
    assert reply.text("Action") == "PerformResponse"
    assert reply.text("RelatesTo") == "urn:uuid:1-2-3"
    assert reply.text("To").endswith("/role/anonymous")
    created, expires = reply.text("Created"), reply.text("Expires")
    assert created.endswith("Z")
    assert _seconds(expires) - _seconds(created) in {300, 300 - 86400}


def test_body_before_header_and_default_namespaces_are_understood(client: Conversation) -> None:
    payload = start(KEY)
    body = (
        f'<Envelope xmlns="{SOAP_11}" xmlns:xsi="{XSI}"><Body>{payload}</Body>'
        f"<Header>{client.header()}</Header></Envelope>"
    )
    assert client.post(body, {"SOAPAction": "Perform"}).text("OverallStatus") == "OK"


@pytest.mark.parametrize("written", ["ImportDefinition", "q:ImportDefinition", " q:ImportDefinition "])
def test_the_type_of_an_object_may_be_prefixed_or_not(client: Conversation, written: str) -> None:
    payload = (
        f'<q:PerformRequestMsg xmlns:q="{PARTNER}"><q:Action>start</q:Action><q:Definitions>'
        f'<q:Definition xsi:type="{written}"><q:CustomerKey>daily</q:CustomerKey></q:Definition>'
        f"</q:Definitions></q:PerformRequestMsg>"
    )
    assert client.call("Perform", payload).text("OverallStatus") == "OK"


def test_elements_may_stand_in_any_order_and_unknown_ones_are_passed_over(client: Conversation) -> None:
    payload = (
        f'<PerformRequestMsg xmlns="{PARTNER}"><Definitions><Definition xsi:type="ImportDefinition"><Invented/>'
        "<CustomerKey>daily</CustomerKey><ObjectID xsi:nil='true'/></Definition></Definitions><Surprise>1</Surprise>"
        "<Action>start</Action><Options/></PerformRequestMsg>"
    )
    assert client.call("Perform", payload).text("OverallStatus") == "OK"


@pytest.mark.parametrize("path", ["/Service.asmx", "/service.asmx", "/SERVICE.ASMX"])
def test_the_path_is_understood_in_any_case(client: Conversation, path: str) -> None:
    reply = client.post(envelope(start(KEY), client.header()), {"SOAPAction": "Perform"}, path)
    assert reply.text("OverallStatus") == "OK"


def test_the_wsdl_can_be_asked_for_by_head_first(sandbox: SandboxProcess) -> None:
    head = requests.head(sandbox.wsdl_url, timeout=60)
    got = requests.get(sandbox.wsdl_url, timeout=60)
    assert head.status_code == got.status_code == 200
    assert head.headers["Last-Modified"] == got.headers["Last-Modified"]
    assert f'location="{sandbox.url}/Service.asmx"' in got.text
    assert f'schemaLocation="{sandbox.url}/ETFrameworkFault.xsd"' in got.text
    assert requests.get(f"{sandbox.url}/ETFrameworkFault.xsd", timeout=60).status_code == 200


def test_a_connection_serves_many_calls_and_closes_when_asked(client: Conversation) -> None:
    first, second = client.perform("daily"), client.perform("daily")
    assert first.headers.get("connection", "") != "close"
    closing = client.post(envelope(start(KEY), client.header()), {"SOAPAction": "Perform", "Connection": "close"})
    assert closing.headers["connection"] == "close"
    assert {reply.text("OverallStatus") for reply in (first, second, closing)} == {"OK"}


def _seconds(stamp: str) -> int:
    hours, minutes, seconds = stamp.partition("T")[2].rstrip("Z").split(":")
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds)

"""What the vendor's five samples for starting an import put on the wire, and the answer each of them reads.

The envelopes are written from knowledge of the stacks (.NET, Axis 1.4, Axis 2 with XMLBeans, soap4r) and of the
vendor's page "Start an Import Definition".
"""

import pytest

from tests.support.sandbox_server import PASSWORD, USERNAME, SandboxProcess
from tests.support.soap_conversation import PARTNER, SOAP_11, SOAP_12, XSI, Conversation, Reply

WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
WSU = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"
WSA = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
TEXT = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText"

PAGE = f"""<?xml version="1.0" encoding="utf-8"?>
<soap:Envelope xmlns:soap="{SOAP_11}" xmlns:xsi="{XSI}" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:wsa="{WSA}"
    xmlns:wsse="{WSSE}" xmlns:wsu="{WSU}">
  <soap:Header>
    <wsa:Action>Perform</wsa:Action>
    <wsa:MessageID>urn:uuid:0d7a52a8-6f5b-4b4e-8f7d-2c1f0f0a1b2c</wsa:MessageID>
    <wsa:ReplyTo><wsa:Address>{WSA}/role/anonymous</wsa:Address></wsa:ReplyTo>
    <wsa:To>http://sandbox.invalid/Service.asmx</wsa:To>
    <wsse:Security soap:mustUnderstand="1">
      <wsse:UsernameToken wsu:Id="SecurityToken-1">
        <wsse:Username>{USERNAME}</wsse:Username>
        <wsse:Password Type="{TEXT}">{PASSWORD}</wsse:Password>
        <wsse:Nonce>c29tZXRoaW5nIHJhbmRvbQ==</wsse:Nonce>
        <wsu:Created>2008-09-17T20:58:36Z</wsu:Created>
      </wsse:UsernameToken>
    </wsse:Security>
  </soap:Header>
  <soap:Body>
    <PerformRequestMsg xmlns="{PARTNER}">
      <Action>start</Action>
      <Definitions>
        <Definition xsi:type="ImportDefinition">
          <ObjectID xsi:nil="true"/>
          <CustomerKey>2043</CustomerKey>
        </Definition>
      </Definitions>
    </PerformRequestMsg>
  </soap:Body>
</soap:Envelope>"""

DOT_NET = (
    f'<s:Envelope xmlns:s="{SOAP_11}" xmlns:u="{WSU}"><s:Header>'
    '<ActivityId CorrelationId="c" xmlns="http://schemas.microsoft.com/2004/09/ServiceModel/Diagnostics">a</ActivityId>'
    f'<o:Security s:mustUnderstand="1" xmlns:o="{WSSE}"><u:Timestamp u:Id="_0"><u:Created>2024-01-01T00:00:00.000Z'
    "</u:Created><u:Expires>2024-01-01T00:05:00.000Z</u:Expires></u:Timestamp>"
    f'<o:UsernameToken u:Id="uuid-1"><o:Username>{USERNAME}</o:Username><o:Password Type="{TEXT}">{PASSWORD}'
    "</o:Password></o:UsernameToken></o:Security></s:Header>"
    f'<s:Body xmlns:xsi="{XSI}" xmlns:xsd="http://www.w3.org/2001/XMLSchema"><PerformRequestMsg xmlns="{PARTNER}">'
    "<Options/><Action>Start</Action><Definitions>"
    '<Definition xsi:type="ImportDefinition"><CustomerKey>2043</CustomerKey></Definition></Definitions>'
    "</PerformRequestMsg></s:Body></s:Envelope>"
)
DOT_NET_12 = (
    DOT_NET.replace(SOAP_11, SOAP_12)
    .replace("<s:Header>", f'<s:Header><a:Action s:mustUnderstand="1" xmlns:a="{WSA}">Perform</a:Action>')
    .replace("<Options/>", "")
)
AXIS_1 = (
    f'<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="{SOAP_11}" '
    f'xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="{XSI}"><soapenv:Header>'
    f'<wsse:Security xmlns:wsse="{WSSE}" soapenv:actor="" soapenv:mustUnderstand="1"><wsse:UsernameToken>'
    f'<wsse:Username>{USERNAME}</wsse:Username><wsse:Password Type="{TEXT}">{PASSWORD}</wsse:Password>'
    "</wsse:UsernameToken></wsse:Security></soapenv:Header><soapenv:Body>"
    f'<PerformRequestMsg xmlns="{PARTNER}"><Options/><Action>start</Action><Definitions>'
    f'<ns1:Definition xsi:type="ns1:ImportDefinition" xmlns:ns1="{PARTNER}">'
    '<ns1:PartnerKey xsi:type="xsd:string" xsi:nil="true"/><ns1:ModifiedDate xsi:nil="true"/>'
    '<ns1:ObjectID xsi:nil="true"/><ns1:CustomerKey>2043</ns1:CustomerKey></ns1:Definition></Definitions>'
    "</PerformRequestMsg></soapenv:Body></soapenv:Envelope>"
)
AXIS_2 = (
    f"<?xml version='1.0' encoding='UTF-8'?><soapenv:Envelope xmlns:soapenv=\"{SOAP_11}\" xmlns:wsa=\"{WSA}\">"
    f'<soapenv:Header><wsse:Security xmlns:wsse="{WSSE}" soapenv:mustUnderstand="1"><wsse:UsernameToken '
    f'xmlns:wsu="{WSU}" wsu:Id="UsernameToken-1"><wsse:Username>{USERNAME}</wsse:Username>'
    f'<wsse:Password Type="{TEXT}">{PASSWORD}</wsse:Password></wsse:UsernameToken></wsse:Security>'
    "<wsa:To>http://sandbox.invalid/Service.asmx</wsa:To><wsa:Action>Perform</wsa:Action></soapenv:Header>"
    f'<soapenv:Body><par:PerformRequestMsg xmlns:par="{PARTNER}"><par:Action>start</par:Action><par:Definitions>'
    f'<par:Definition xsi:type="par:ImportDefinition" xmlns:xsi="{XSI}"><par:CustomerKey>2043</par:CustomerKey>'
    "</par:Definition></par:Definitions></par:PerformRequestMsg></soapenv:Body></soapenv:Envelope>"
)
SOAP4R = (
    f'<?xml version="1.0" encoding="utf-8" ?><env:Envelope xmlns:xsd="http://www.w3.org/2001/XMLSchema"\n'
    f'    xmlns:env="{SOAP_11}"\n    xmlns:xsi="{XSI}">\n  <env:Header>\n'
    f'    <n1:Security xmlns:n1="{WSSE}"\n        env:mustUnderstand="0">\n      <n1:UsernameToken>\n'
    f"        <n1:Username>{USERNAME}</n1:Username>\n        <n1:Password>{PASSWORD}</n1:Password>\n"
    "      </n1:UsernameToken>\n    </n1:Security>\n  </env:Header>\n  <env:Body>\n"
    f'    <n2:PerformRequestMsg xmlns:n2="{PARTNER}">\n      <n2:Options xsi:nil="true"></n2:Options>\n'
    "      <n2:Action>start</n2:Action>\n      <n2:Definitions>\n"
    '        <n2:Definition xsi:type="n2:ImportDefinition">\n          <n2:CustomerKey>2043</n2:CustomerKey>\n'
    "        </n2:Definition>\n      </n2:Definitions>\n    </n2:PerformRequestMsg>\n  </env:Body>\n</env:Envelope>"
)

SAMPLES = {
    "the envelope of the page": (PAGE, {"SOAPAction": '"Perform"'}),
    "the envelope of the page, action in the header only": (PAGE, {}),
    ".NET with the 1.1 binding": (DOT_NET, {"SOAPAction": '"Perform"', "Expect": "100-continue"}),
    ".NET with SOAP 1.2 and addressing": (
        DOT_NET_12,
        {"Content-Type": 'application/soap+xml; charset=utf-8; action="Perform"'},
    ),
    "Axis 1.4": (AXIS_1, {"SOAPAction": '"Perform"', "Content-Type": "text/xml; charset=utf-8"}),
    "Axis 2": (AXIS_2, {"SOAPAction": '"Perform"', "Content-Type": "text/xml; charset=UTF-8"}),
    "soap4r": (SOAP4R, {"SOAPAction": '"Perform"', "Content-Type": "text/xml; charset=utf-8"}),
}


@pytest.fixture(autouse=True)
def _definition(sandbox: SandboxProcess) -> None:
    sandbox.control.define("2043")


def _send(client: Conversation, sample: str) -> Reply:
    body, headers = SAMPLES[sample]
    return client.post(body, headers)


@pytest.mark.parametrize("sample", SAMPLES)
def test_each_sample_starts_the_import(client: Conversation, sandbox: SandboxProcess, sample: str) -> None:
    reply = _send(client, sample)
    assert (reply.status, reply.text("OverallStatus")) == (200, "OK")
    assert [perform["customer_key"] for perform in sandbox.control.performs()] == ["2043"]


@pytest.mark.parametrize("sample", SAMPLES)
def test_each_sample_finds_what_it_prints_in_the_answer(
    client: Conversation, sandbox: SandboxProcess, sample: str
) -> None:
    reply = _send(client, sample)
    task = sandbox.control.performs()[0]["task_id"]
    assert reply.text("OverallStatus") == "OK"
    assert len(reply.text("RequestID").split("-")) == 5
    assert reply.texts("ErrorCode") == []
    assert reply.text("StatusCode") == "OK"
    assert reply.text("StatusMessage").endswith(f":{task}")
    assert reply.text("ID") == task


def test_the_older_page_prints_ok_as_message_which_is_a_setting() -> None:
    with SandboxProcess(["--overall-status-message", "OK"]) as sandbox:
        sandbox.control.define("2043")
        assert _send(Conversation(sandbox), "Axis 2").text("OverallStatusMessage") == "OK"

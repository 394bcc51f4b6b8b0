"""Whatever is sent, the answer is one the contract knows, it comes at once, and the sandbox goes on."""

import socket

import pytest

from tests.support.sandbox_server import SandboxProcess
from tests.support.soap_conversation import PARTNER, SOAP_11, Conversation, envelope, start, thing
from tests.support.waiting import eventually

BOMB = (
    '<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + ']><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><x>&j;</x></soap:Body>'
    "</soap:Envelope>"
)
EXTERNAL = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    f'<s:Envelope xmlns:s="{SOAP_11}"><s:Body><PerformRequestMsg xmlns="{PARTNER}"><Action>&e;</Action>'
    "</PerformRequestMsg></s:Body></s:Envelope>"
)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"hello",
        b"{}",
        b"<a>",
        b"<a/>",
        b"<Envelope/>",
        b'<Envelope xmlns="urn:else"><Body><x/></Body></Envelope>',
        f'<s:Envelope xmlns:s="{SOAP_11}"/>'.encode(),
        f'<s:Envelope xmlns:s="{SOAP_11}"><s:Body/></s:Envelope>'.encode(),
        f'<s:Envelope xmlns:s="{SOAP_11}"><s:Body>text</s:Body></s:Envelope>'.encode(),
        f'<s:Envelope xmlns:s="{SOAP_11}"><s:Body><x></s:Body></s:Envelope>'.encode(),
        b'<?xml version="1.0" encoding="klingon"?><a/>',
        b"\xff\xfe\x00\x01",
        b"<a>\x00</a>",
        BOMB.encode(),
        BOMB.encode("utf-16"),
        EXTERNAL.encode(),
        EXTERNAL.encode("utf-16"),
        b"<a>" * 100_000,
        b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        + b"<a>" * 5_000
        + b"</a>" * 5_000
        + b"</s:Body></s:Envelope>",
    ],
    ids=range(21),
)
def test_what_is_no_soap_is_a_bad_request(client: Conversation, body: bytes) -> None:
    reply = client.post(body, {"SOAPAction": "Perform"})
    assert (reply.status, reply.content) == (400, b"Bad Request")


def test_a_body_of_a_hundred_megabytes_is_refused_before_it_is_read(sandbox: SandboxProcess) -> None:
    host, port = sandbox.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(b"POST /Service.asmx HTTP/1.1\r\nHost: x\r\nContent-Length: 104857600\r\n\r\n<a>")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_chunked_body_without_end_is_refused_at_the_limit(sandbox: SandboxProcess) -> None:
    host, port = sandbox.url.removeprefix("http://").split(":")
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(b"POST /Service.asmx HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        answer = _send_until_answered(connection, chunk)
    assert answer.startswith(b"HTTP/1.1 413 ")


def _send_until_answered(connection: socket.socket, chunk: bytes) -> bytes:
    for _ in range(200):
        try:
            connection.sendall(chunk)
        except OSError:
            break
    return connection.recv(100)


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_other_methods_are_not_allowed(client: Conversation, method: str) -> None:
    reply = client.session.request(method, client.sandbox.soap_url, timeout=60)
    assert reply.status_code in {404, 405}


@pytest.mark.parametrize("path", ["/", "/nothing", "/Service.asmx/more", "/%00", "/../etc/passwd", "//"])
def test_unknown_paths_are_not_found(client: Conversation, path: str) -> None:
    assert client.post("x", path=path).status in {404, 405}


def test_a_deeply_nested_object_is_refused_not_followed(client: Conversation) -> None:
    depth = 70
    inner = "<Owner><Client/><User>" * depth + "</User></Owner>" * depth
    reply = client.call("Perform", start(f"<CustomerKey>k</CustomerKey>{inner}"))
    assert reply.text("OverallStatus") == "Error"


def test_a_document_type_is_refused_where_it_declares_one_not_where_it_is_text(client: Conversation) -> None:
    prolog = '<?xml version="1.0"?>\n<!-- <x> -->'
    body = envelope(start("<CustomerKey><![CDATA[<!DOCTYPE html>]]></CustomerKey>"), client.header())
    body = prolog + body.partition("?>")[2]
    assert client.post(body, {"SOAPAction": "Perform"}).text("CustomerKey") == "<!DOCTYPE html>"
    declared = prolog + "<!DOCTYPE x>" + body.removeprefix(prolog)
    assert client.post(declared, {"SOAPAction": "Perform"}).status == 400


NIL_ITEMS = (
    ("ImportDefinition", "<FieldMaps><FieldMap xsi:nil='true'/></FieldMaps>"),
    ("ImportDefinition", "<ControlColumnActions><ControlColumnAction xsi:nil='true'/></ControlColumnActions>"),
    ("ImportDefinition", "<PartnerProperties xsi:nil='true'/>"),
    ("DataExtension", "<Name>x</Name><Fields><Field xsi:nil='true'/><Field><Name>a</Name></Field></Fields>"),
)


@pytest.mark.parametrize(("kind", "items"), NIL_ITEMS)
def test_items_that_are_nil_are_as_if_they_were_not_there(
    client: Conversation, sandbox: SandboxProcess, kind: str, items: str
) -> None:
    client.make_data_extension("people", "key")
    target = '<DestinationObject xsi:type="DataExtension"><CustomerKey>people</CustomerKey></DestinationObject>'
    reply = client.create(thing(kind, f"<CustomerKey>nil</CustomerKey>{items}{target}"))
    assert (reply.status, reply.text("OverallStatus")) == (200, "OK")
    if kind == "ImportDefinition":
        assert client.perform("nil").text("OverallStatus") == "OK"
        ended = eventually(lambda: sandbox.control.performs()[0]["result"], 60, "the run ended")
        assert ended["message"] == "FileSpec is empty: name a file"


def test_a_reply_never_carries_what_a_caller_slipped_in(client: Conversation) -> None:
    key = "a&lt;b&gt;&quot;]]&gt;&#10;&#xFFFD;"
    reply = client.call("Perform", start(f"<CustomerKey>{key}</CustomerKey>"))
    assert reply.text("CustomerKey") == 'a<b>"]]>\n\ufffd'


def test_the_sandbox_goes_on_after_every_kind_of_nonsense(client: Conversation, sandbox: SandboxProcess) -> None:
    for body in (b"", b"<", BOMB.encode(), b"\x00" * 1000):
        client.post(body)
    sandbox.control.define("daily")
    assert (
        client.post(
            envelope(start("<CustomerKey>daily</CustomerKey>"), client.header()), {"SOAPAction": "Perform"}
        ).text("OverallStatus")
        == "OK"
    )

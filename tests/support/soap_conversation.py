"""Hand-written SOAP for tests of the sandbox: builds envelopes as text and reads replies; asserts only HTTP facts."""

from dataclasses import dataclass
from typing import Any

import requests
from lxml import etree

from tests.support.sandbox_server import CLIENT_ID, CLIENT_SECRET, SandboxProcess

PARTNER = "http://exacttarget.com/wsdl/partnerAPI"
SOAP_11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_12 = "http://www.w3.org/2003/05/soap-envelope"
XSI = "http://www.w3.org/2001/XMLSchema-instance"


@dataclass(frozen=True)
class Reply:
    """One HTTP reply; `body` is the payload of the SOAP body as an element."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def envelope(self) -> etree._Element:
        return etree.fromstring(self.content)

    @property
    def body(self) -> etree._Element:
        return next(part for part in self.envelope if part.tag.endswith("}Body"))[0]

    @property
    def fault(self) -> str:
        """The fault's text, in both versions of SOAP."""
        return self.text("faultstring") or self.text("Text")

    def text(self, name: str) -> str:
        """The text of the first element with this local name, empty when there is none."""
        return next(iter(self.texts(name)), "")

    def texts(self, name: str) -> list[str]:
        return [element.text or "" for element in self.envelope.iter() if _local(element) == name]

    def elements(self, name: str) -> list[etree._Element]:
        return [element for element in self.envelope.iter() if _local(element) == name]

    def children(self, name: str) -> list[str]:
        """Names of the children of the first element with this name, in document order."""
        return [_local(child) for child in self.elements(name)[0]]


class Conversation:
    """Talks to one sandbox as one client."""

    def __init__(self, sandbox: SandboxProcess, client_id: str = CLIENT_ID, secret: str = CLIENT_SECRET) -> None:
        self.sandbox = sandbox
        self._client = (client_id, secret)
        self.session = requests.Session()

    def token(self, **more: Any) -> str:
        client_id, secret = self._client
        fields = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret, **more}
        reply = self.session.post(f"{self.sandbox.url}/v2/token", json=fields, timeout=10)
        assert reply.status_code == 200, reply.text
        return str(reply.json()["access_token"])

    def header(self) -> str:
        return f'<fueloauth xmlns="http://exacttarget.com">{self.token()}</fueloauth>'

    def call(self, action: str, payload: str, *, header: str | None = None) -> Reply:
        """Send a payload in an ordinary SOAP 1.1 envelope; without `header` with a fresh token."""
        head = self.header() if header is None else header
        return self.post(envelope(payload, head), {"SOAPAction": action})

    def post(self, body: str | bytes, headers: dict[str, str] | None = None, path: str = "/Service.asmx") -> Reply:
        """Send bytes as they are."""
        content = body.encode() if isinstance(body, str) else body
        sent = {"Content-Type": "text/xml; charset=utf-8", **(headers or {})}
        reply = self.session.post(f"{self.sandbox.url}{path}", data=content, headers=sent, timeout=20)
        return Reply(reply.status_code, dict(reply.headers), reply.content)

    def perform(self, key: str, **more: str) -> Reply:
        return self.call("Perform", start(f"<CustomerKey>{key}</CustomerKey>", **more))

    def create(self, objects: str) -> Reply:
        return self.call("Create", f'<CreateRequest xmlns="{PARTNER}"><Options/>{objects}</CreateRequest>')

    def update(self, objects: str) -> Reply:
        return self.call("Update", f'<UpdateRequest xmlns="{PARTNER}"><Options/>{objects}</UpdateRequest>')

    def delete(self, objects: str) -> Reply:
        return self.call("Delete", f'<DeleteRequest xmlns="{PARTNER}"><Options/>{objects}</DeleteRequest>')

    def retrieve(self, kind: str, properties: list[str], condition: str = "", more: str = "") -> Reply:
        names = "".join(f"<Properties>{name}</Properties>" for name in properties)
        return self.call(
            "Retrieve",
            f'<RetrieveRequestMsg xmlns="{PARTNER}"><RetrieveRequest><ObjectType>{kind}</ObjectType>{names}'
            f"{condition}{more}</RetrieveRequest></RetrieveRequestMsg>",
        )

    def make_data_extension(self, key: str, *fields: str) -> None:
        """A data extension of text fields, the first one its primary key."""
        columns = "".join(
            f"<Field><Name>{name}</Name><IsPrimaryKey>{str(place == 0).lower()}</IsPrimaryKey>"
            f"<FieldType>Text</FieldType></Field>"
            for place, name in enumerate(fields or ("key",))
        )
        reply = self.create(
            thing("DataExtension", f"<CustomerKey>{key}</CustomerKey><Name>{key}</Name><Fields>{columns}</Fields>")
        )
        assert reply.text("OverallStatus") == "OK", reply.content


def envelope(payload: str, header: str, soap: str = SOAP_11) -> str:
    return (
        f'<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="{soap}" xmlns:xsi="{XSI}">'
        f"<soap:Header>{header}</soap:Header><soap:Body>{payload}</soap:Body></soap:Envelope>"
    )


def start(identity: str, action: str = "start", options: str = "") -> str:
    return (
        f'<PerformRequestMsg xmlns="{PARTNER}">{options}<Action>{action}</Action><Definitions>'
        f'<Definition xsi:type="ImportDefinition">{identity}</Definition></Definitions></PerformRequestMsg>'
    )


def thing(kind: str, properties: str) -> str:
    return f'<Objects xsi:type="{kind}">{properties}</Objects>'


def equals(name: str, *values: str, operator: str = "equals") -> str:
    wanted = "".join(f"<Value>{value}</Value>" for value in values)
    return (
        f'<Filter xsi:type="SimpleFilterPart"><Property>{name}</Property>'
        f"<SimpleOperator>{operator}</SimpleOperator>{wanted}</Filter>"
    )


def _local(element: etree._Element) -> str:
    return str(element.tag).rpartition("}")[2]

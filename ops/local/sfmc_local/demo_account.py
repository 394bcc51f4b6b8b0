"""The demo's account: destinations and ImportDefinitions, created over SOAP as any customer does."""

import json
import sys
import urllib.request
from dataclasses import dataclass
from urllib.error import URLError

from lxml import etree

MID = "510001234"
CLIENT_ID = "demo-client"
CLIENT_SECRET = "demo-secret"  # noqa: S105 - the sandbox's published default
PARTNER = "http://exacttarget.com/wsdl/partnerAPI"
ANSWER_SECONDS = 10.0

ENVELOPE = """<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"
  xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <s:Header><fueloauth xmlns="http://exacttarget.com">{token}</fueloauth></s:Header>
  <s:Body><CreateRequest xmlns="http://exacttarget.com/wsdl/partnerAPI"><Options/>{objects}</CreateRequest></s:Body>
</s:Envelope>"""

CONTACTS = """<Objects xsi:type="DataExtension">
  <CustomerKey>contacts</CustomerKey><Name>Contacts</Name>
  <Fields>
    <Field><Name>Email</Name><FieldType>EmailAddress</FieldType>
      <IsRequired>true</IsRequired><IsPrimaryKey>true</IsPrimaryKey></Field>
    <Field><Name>City</Name><FieldType>Text</FieldType><MaxLength>50</MaxLength></Field>
  </Fields>
</Objects>"""

ORDERS = """<Objects xsi:type="DataExtension">
  <CustomerKey>orders</CustomerKey><Name>Orders</Name>
  <Fields>
    <Field><Name>Number</Name><FieldType>Number</FieldType>
      <IsRequired>true</IsRequired><IsPrimaryKey>true</IsPrimaryKey></Field>
    <Field><Name>Day</Name><FieldType>Date</FieldType></Field>
  </Fields>
</Objects>"""

READERS = """<Objects xsi:type="List"><CustomerKey>readers</CustomerKey><ListName>Readers</ListName></Objects>"""

DEFINITION = """<Objects xsi:type="ImportDefinition">
  <CustomerKey>{key}</CustomerKey><Name>{key}</Name>
  <AllowErrors>{allow_errors}</AllowErrors>
  <DestinationObject xsi:type="{kind}">{target}</DestinationObject>
  <FieldMappingType>InferFromColumnHeadings</FieldMappingType>
  <FileSpec>{file_spec}</FileSpec><FileType>CSV</FileType>
  <UpdateType>AddAndUpdate</UpdateType>
  <MaxImportFrequency>{hours}</MaxImportFrequency>
  <RetrieveFileTransferLocation><CustomerKey>ExactTarget Enhanced FTP</CustomerKey></RetrieveFileTransferLocation>
</Objects>"""


class AccountError(RuntimeError):
    """The sandbox refused what the demo needs, or could not be asked."""


@dataclass(frozen=True)
class Account:
    """Where the sandbox of this demo is."""

    url: str

    @property
    def soap_url(self) -> str:
        """The endpoint of SOAP calls."""
        return f"{self.url}/Service.asmx"

    @property
    def page(self) -> str:
        """What to open in a browser."""
        return f"{self.url}/_sandbox/"

    def is_up(self) -> bool:
        """Tell whether the sandbox answers."""
        try:
            return bool(self._ask(f"{self.page}health"))
        except AccountError:
            return False

    def performs(self) -> list[str]:
        """Return the CustomerKey of every start the sandbox has carried out."""
        return [each["customer_key"] for each in json.loads(self._ask(f"{self.page}performs"))]

    def fill(self) -> None:
        """Create two data extensions, a list, and an ImportDefinition for each of them.

        Raises:
            AccountError: with the text of the sandbox.
        """
        token = self._token()
        self._create(token, CONTACTS + ORDERS)
        list_id = self._create(token, READERS)
        self._create(token, definitions(list_id))

    def _token(self) -> str:
        login = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        body = json.dumps({**login, "account_id": MID}).encode()
        answer = self._ask(f"{self.url}/v2/token", body, {"Content-Type": "application/json"})
        return str(json.loads(answer)["access_token"])

    def _create(self, token: str, objects: str) -> str:
        """Send a Create and return the NewID of its first result."""
        body = ENVELOPE.format(token=token, objects=objects).encode()
        headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '"Create"'}
        reply = etree.fromstring(self._ask(self.soap_url, body, headers))
        if reply.findtext(f".//{{{PARTNER}}}OverallStatus") != "OK":
            raise AccountError(f"Create was refused: {reply.findtext(f'.//{{{PARTNER}}}StatusMessage')}")
        return str(reply.findtext(f".//{{{PARTNER}}}NewID"))

    def _ask(self, url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> bytes:
        request = urllib.request.Request(url, body, headers or {})  # noqa: S310 - always our own sandbox
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - as above
                return bytes(answer.read())
        except (URLError, OSError) as error:
            raise AccountError(f"the sandbox at {url} cannot be asked: {error}") from None


def definitions(list_id: str) -> str:
    """Return the three ImportDefinitions: a data extension by key, a list by ID, one that may have bad rows."""
    usual = {"kind": "DataExtension", "allow_errors": "false", "hours": "0"}
    dated = {"key": "contacts", "file_spec": "contacts_%%YEAR%%%%MONTH%%%%DAY%%.csv", "hours": "1"}
    by_id = {"key": "newsletter", "file_spec": "newsletter.csv", "kind": "List", "target": f"<ID>{list_id}</ID>"}
    lenient = {"key": "orders", "file_spec": "orders.csv", "allow_errors": "true"}
    by_key = [{**each, "target": f"<CustomerKey>{each['key']}</CustomerKey>"} for each in (dated, lenient)]
    return "".join(DEFINITION.format(**{**usual, **each}) for each in (*by_key, by_id))


if __name__ == "__main__":
    try:
        Account(sys.argv[1]).fill()
    except AccountError as problem:
        sys.exit(str(problem))

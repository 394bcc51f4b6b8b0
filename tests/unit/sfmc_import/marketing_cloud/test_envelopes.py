"""What is sent: equal to the golden files, to zeep without templates, and to the vendor's own WSDL and sample."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import zeep
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from sfmc_import.marketing_cloud import MarketingCloudConfig, PlainSecret
from sfmc_import.marketing_cloud.envelopes import (
    PROPERTIES,
    SUMMARY,
    Envelopes,
    UnsendableError,
    all_definitions,
    data_extension_by_object,
    definition_by_key,
    definition_by_object,
    fields_of,
    format_by_key,
    header_blocks,
    location_by_object,
    newer_runs,
    runs_by_definition,
    runs_by_task,
    user_credentials,
)
from sfmc_import.marketing_cloud.soap_library import Service
from tests.unit.sfmc_import.marketing_cloud.infoset import infoset, read, without

GOLDEN = Path(__file__).parent / "golden"
REFERENCE = Path(__file__).parents[5] / "shared" / "reference"
SOAP_URL = "https://t.soap.example/"
TOKEN = MarketingCloudConfig(soap_url=SOAP_URL, client_id="c")
USER = MarketingCloudConfig(soap_url=SOAP_URL, username="a-user", password=PlainSecret("a-password"))
SLOTS = {"token": "a-token"}
MESSAGE = "urn:uuid:00000000-0000-0000-0000-000000000001"
# Every character that XML can carry; \r and \n are compared as they are parsed.
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), min_size=1)


@pytest.fixture(scope="module")
def service():
    return Service()


@pytest.fixture(scope="module")
def envelopes(service):
    return Envelopes(TOKEN, lambda: service)


def golden(name: str) -> tuple:
    return read((GOLDEN / name).read_bytes())


def test_a_start_with_a_token_is_the_golden_file(envelopes):
    sent = without(envelopes.perform("orders & returns", SLOTS), MessageID=MESSAGE)

    assert read(sent) == golden("perform_with_token.xml")


def test_a_start_with_user_and_password_is_the_golden_file(service):
    sent = Envelopes(USER, lambda: service).perform("orders & returns", user_credentials(USER))
    fixed = without(sent, MessageID=MESSAGE, Nonce="bm9uY2U=", Created="2026-01-01T00:00:00Z")

    assert read(fixed) == golden("perform_with_user.xml")


@pytest.mark.parametrize(
    ("query", "name"),
    [
        (runs_by_task(["129159023", "129159024"]), "retrieve_runs.xml"),
        (newer_runs(("orders",), "129159023"), "retrieve_newer_runs.xml"),
        (runs_by_definition("orders").next_page("request-1"), "retrieve_next_page.xml"),
        (newer_runs(("orders",), "129159023").next_page("request-1"), "retrieve_next_page.xml"),
        (definition_by_key("orders"), "retrieve_definition.xml"),
        (replace(definition_by_key("orders"), inner=True), "retrieve_definition_and_destination.xml"),
        (definition_by_object("5e1ad037-29c3-de11-9a36-001e0bfba5bd"), "retrieve_definition_by_object.xml"),
        (format_by_key("orders"), "retrieve_file_format.xml"),
        (data_extension_by_object("5e1ad037-29c3-de11-9a36-001e0bfba5bd"), "retrieve_data_extension.xml"),
        (fields_of("people"), "retrieve_columns.xml"),
        (location_by_object("5e1ad037-29c3-de11-9a36-001e0bfba5bd"), "retrieve_location.xml"),
    ],
)
def test_a_query_is_the_golden_file(envelopes, query, name):
    sent = without(envelopes.retrieve(query, SLOTS), MessageID=MESSAGE)

    assert read(sent) == golden(name)


def test_a_single_task_id_is_asked_for_with_equals(envelopes):
    sent = etree.fromstring(envelopes.retrieve(runs_by_task(["1"]), SLOTS))

    assert sent.findtext(".//{*}SimpleOperator") == "equals"


def test_all_definitions_are_asked_for_without_a_filter(envelopes):
    sent = etree.fromstring(envelopes.retrieve(all_definitions(), SLOTS))

    assert sent.find(".//{*}Filter") is None


@given(key=TEXTS, token=TEXTS)
def test_a_filled_template_is_what_zeep_writes_for_the_same_values(service, envelopes, key, token):
    blocks = header_blocks(TOKEN, "Perform")
    blocks[-1].text = token
    written = etree.tostring(service.perform(key, blocks))

    filled = envelopes.perform(key, {"token": token})

    assert read(without(filled, MessageID="1")) == read(without(written, MessageID="1"))


@given(values=st.lists(TEXTS, min_size=1, max_size=4))
def test_a_filled_query_is_what_zeep_writes_for_the_same_values(service, envelopes, values):
    query = runs_by_task(values)
    blocks = header_blocks(TOKEN, "Retrieve")
    blocks[-1].text = SLOTS["token"]
    written = etree.tostring(service.retrieve(query, blocks))

    filled = envelopes.retrieve(query, SLOTS)

    assert read(without(filled, MessageID="1")) == read(without(written, MessageID="1"))


def test_line_ends_and_tabs_in_a_value_arrive_as_they_were(envelopes):
    sent = etree.fromstring(envelopes.perform("a\r\n\tb", SLOTS))

    assert sent.findtext(".//{*}CustomerKey") == "a\r\n\tb"


@pytest.mark.parametrize("key", ["\x00", "a\x08b", "\ud800", "\uffff"])
def test_what_xml_cannot_carry_is_refused_without_being_quoted(envelopes, key):
    with pytest.raises(UnsendableError) as caught:
        envelopes.perform(key, SLOTS)

    assert key not in str(caught.value)


def test_a_value_that_looks_like_a_slot_stays_a_value(envelopes):
    sent = etree.fromstring(envelopes.perform("--slot:token--", SLOTS))

    assert sent.findtext(".//{*}CustomerKey") == "--slot:token--"


def test_every_call_has_a_message_id_of_its_own(envelopes):
    ids = {etree.fromstring(envelopes.perform("k", SLOTS)).findtext(".//{*}MessageID") for _ in range(50)}

    assert len(ids) == 50


def test_every_call_with_user_and_password_has_a_nonce_and_an_id_of_its_own():
    calls = [user_credentials(USER) for _ in range(50)]

    assert len({call["nonce"] for call in calls}) == 50
    assert len({call["token_id"] for call in calls}) == 50


class VendorFiles(zeep.Transport):
    """Gives the vendor's documents from the disk."""

    def load(self, url):
        return (REFERENCE / "wsdl" / Path(url).name).read_bytes()


@pytest.fixture(scope="module")
def vendor():
    wsdl = REFERENCE / "wsdl" / "etframework.wsdl"
    if not wsdl.exists():
        pytest.skip("the vendor's WSDL is not at hand")
    return zeep.Client(str(wsdl), transport=VendorFiles(), settings=zeep.Settings(strict=False))


def vendor_type(vendor, name, **values):
    return vendor.get_type(f"{{http://exacttarget.com/wsdl/partnerAPI}}{name}")(**values)


@pytest.mark.parametrize("config", [TOKEN, USER])
def test_a_start_is_what_zeep_writes_from_the_vendors_wsdl(service, vendor, config):
    blocks = header_blocks(config, "Perform")
    definition = vendor_type(vendor, "ImportDefinition", ObjectID=zeep.xsd.Nil, CustomerKey="orders")
    message = {"Action": "start", "Definitions": {"Definition": [definition]}}
    theirs = vendor.create_message(vendor.service, "Perform", _soapheaders=blocks, **message)

    assert infoset(service.perform("orders", header_blocks(config, "Perform"))) == infoset(theirs)


@pytest.mark.parametrize("query", [runs_by_task(["1", "2"]), runs_by_task(["1"]).next_page("r"), all_definitions()])
def test_a_query_is_what_zeep_writes_from_the_vendors_wsdl(service, vendor, query):
    request = {"ObjectType": query.object_type, "Properties": list(PROPERTIES[query.object_type])}
    if query.values:
        values = {"Property": "TaskResultID", "SimpleOperator": "IN", "Value": list(query.values)}
        request["Filter"] = vendor_type(vendor, "SimpleFilterPart", **values)
    if query.continues:
        request["ContinueRequest"] = query.continues
    blocks = header_blocks(TOKEN, "Retrieve")
    theirs = vendor.create_message(vendor.service, "Retrieve", _soapheaders=blocks, RetrieveRequest=request)

    assert infoset(service.retrieve(query, header_blocks(TOKEN, "Retrieve"))) == infoset(theirs)


def test_the_query_for_newer_runs_is_what_zeep_writes_from_the_vendors_wsdl(service, vendor):
    key = {"Property": "ImportDefinitionCustomerKey", "SimpleOperator": "equals", "Value": ["orders"]}
    newer = {"Property": "TaskResultID", "SimpleOperator": "greaterThan", "Value": ["7"]}
    left, right = (vendor_type(vendor, "SimpleFilterPart", **part) for part in (key, newer))
    both = vendor_type(vendor, "ComplexFilterPart", LeftOperand=left, LogicalOperator="AND", RightOperand=right)
    request = {"ObjectType": SUMMARY, "Properties": list(PROPERTIES[SUMMARY]), "Filter": both}
    blocks = header_blocks(TOKEN, "Retrieve")
    theirs = vendor.create_message(vendor.service, "Retrieve", _soapheaders=blocks, RetrieveRequest=request)

    ours = service.retrieve(newer_runs(("orders",), "7"), header_blocks(TOKEN, "Retrieve"))
    assert infoset(ours) == infoset(theirs)


@pytest.mark.parametrize("object_type", sorted(PROPERTIES))
def test_every_property_we_ask_for_is_in_the_vendors_wsdl(vendor, object_type):
    declared = vendor.get_type(f"{{http://exacttarget.com/wsdl/partnerAPI}}{object_type}").elements

    assert set(PROPERTIES[object_type]) <= {name for name, _ in declared}


def test_the_vendors_sample_envelope_is_what_we_send_with_user_and_password(service):
    page = next((REFERENCE / "seeds").glob("000_*"), None)
    if page is None:
        pytest.skip("the vendor's page is not at hand")
    sample = re.search(r"<\?xml.*?</soap:Envelope>", page.read_text(encoding="utf-8"), re.DOTALL)
    config = MarketingCloudConfig(soap_url="https://YOUR_SUBDOMAIN.soap.marketingcloudapis.com", username="USERNAME")
    slots = {**user_credentials(config), "password": "PASSWORD"}
    sent = Envelopes(config, lambda: service).perform("2043", slots)
    fixed = {"MessageID": MESSAGE, "Nonce": "n", "Created": "c"}

    assert sample is not None
    assert read(without(sent, **fixed)) == read(without(sample.group().encode(), **fixed))


def test_asking_for_a_summary_names_no_property_that_cannot_be_retrieved():
    assert "NumberRestricted" not in PROPERTIES[SUMMARY]

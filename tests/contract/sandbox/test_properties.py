"""Each of the 46 properties of ImportDefinition: created, echoed, updated, retrieved or refused, described."""

import pytest
from lxml import etree

from tests.contract.sandbox.properties import BY_NAME, DESTINATION, EXAMPLES, READ_ONLY
from tests.support.sandbox_server import SandboxProcess
from tests.support.soap_conversation import PARTNER, XSI, Conversation, equals, thing

NAMES = [example.name for example in EXAMPLES]
MINIMAL = f"<CustomerKey>daily</CustomerKey>{DESTINATION}"
EXTRA = {"CustomerKey", "DestinationObject", "PartnerKey", "ObjectID"}


@pytest.fixture(autouse=True)
def _destination(client: Conversation) -> None:
    client.make_data_extension("people", "key", "name")


def _full(name: str) -> str:
    return MINIMAL + ("" if name in {"CustomerKey", "DestinationObject"} else BY_NAME[name].sent)


def _canonical(sent: str) -> list[bytes]:
    root = etree.fromstring(f'<r xmlns="{PARTNER}" xmlns:xsi="{XSI}">{sent}</r>')
    return [_bare(child) for child in root]


def _bare(element: etree._Element) -> bytes:
    """An element without the namespace declarations that only its surroundings cause."""
    clean = etree.fromstring(etree.tostring(element, with_tail=False))
    etree.cleanup_namespaces(clean)
    return etree.tostring(clean, method="c14n")


def test_there_are_46_properties_in_the_order_of_the_wire(client: Conversation) -> None:
    assert len(NAMES) == 46
    every = "".join(example.sent for example in reversed(EXAMPLES))
    reply = client.create(thing("ImportDefinition", every))
    assert reply.text("OverallStatus") == "OK"
    echoed = list(dict.fromkeys(reply.children("Object")))
    assert echoed == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_property_is_created_and_echoed_as_it_was_sent(client: Conversation, name: str) -> None:
    reply = client.create(thing("ImportDefinition", _full(name)))
    assert (reply.text("OverallStatus"), reply.text("StatusMessage")) == ("OK", "ImportDefinition created.")
    assert set(reply.children("Object")) == EXTRA | {name}
    if name != "ObjectID":
        found = [child for child in reply.elements("Object")[0] if child.tag == f"{{{PARTNER}}}{name}"]
        assert [_bare(child) for child in found] == _canonical(BY_NAME[name].sent)


@pytest.mark.parametrize("name", NAMES)
def test_a_property_is_retrieved_or_refused(client: Conversation, name: str) -> None:
    example = BY_NAME[name]
    client.create(thing("ImportDefinition", _full(name)))
    reply = client.retrieve("ImportDefinition", [example.path or name], equals("CustomerKey", "daily"))
    if not example.path:
        wanted = f"Error: The Request Property(s) {name} do not match with the fields of ImportDefinition retrieve"
        assert reply.text("OverallStatus") == wanted
        return
    leaf = {"Client.ClientID1": "ClientID"}.get(example.path, example.path.rpartition(".")[2])
    values = [text for text in reply.texts(leaf) if text]
    assert reply.text("OverallStatus") == "OK"
    assert values if example.retrieved == READ_ONLY else values == [example.retrieved]


@pytest.mark.parametrize("name", NAMES)
def test_a_property_is_changed_by_an_update_unless_it_is_read_only(
    client: Conversation, sandbox: SandboxProcess, name: str
) -> None:
    example = BY_NAME[name]
    object_id = client.create(thing("ImportDefinition", MINIMAL)).text("NewObjectID")
    sent = "" if name == "CustomerKey" else example.sent
    updated = client.update(thing("ImportDefinition", f"<CustomerKey>daily</CustomerKey>{sent}"))
    assert updated.text("OverallStatus") == "OK"
    kept = sandbox.control.definition("daily")
    assert kept["ObjectID"] == object_id
    if example.updatable:
        assert name in kept
    else:
        assert kept.get(name) not in {"2001-01-01T00:00:00", 7, "x"}


@pytest.mark.parametrize("name", NAMES)
def test_a_property_is_described_with_its_type(client: Conversation, name: str) -> None:
    payload = (
        f'<DefinitionRequestMsg xmlns="{PARTNER}"><DescribeRequests><ObjectDefinitionRequest>'
        "<ObjectType>ImportDefinition</ObjectType></ObjectDefinitionRequest></DescribeRequests></DefinitionRequestMsg>"
    )
    reply = client.call("Describe", payload)
    described = {_text(one, "Name"): one for one in reply.elements("Properties")}
    assert list(described) == NAMES
    one, example = described[name], BY_NAME[name]
    assert _text(one, "DataType") == example.data_type
    assert _text(one, "IsRetrievable") == str(bool(example.path)).lower()
    assert _text(one, "IsUpdatable") == str(example.updatable).lower()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("UpdateType", "AddAndUpdate AddAndDoNotUpdate UpdateButDoNotAdd Merge Overwrite ColumnBased"),
        ("FieldMappingType", "InferFromColumnHeadings MapByOrdinal ManualMap"),
        ("ControlColumnDefaultAction", "AddAndUpdate AddButDoNotUpdate Delete Skip UpdateButDoNotAdd"),
        ("SubscriberImportType", "Email SMS"),
        ("FileType", "CSV TAB Other"),
    ],
)
def test_an_enumeration_takes_its_own_values_and_no_others(client: Conversation, name: str, values: str) -> None:
    for place, value in enumerate(values.split()):
        body = MINIMAL.replace("daily", f"d{place}") + f"<{name}>{value}</{name}>"
        assert client.create(thing("ImportDefinition", body)).text("OverallStatus") == "OK"
    for value in ("addandupdate", "AddAndUpdateAll", "", "csv"):
        reply = client.create(thing("ImportDefinition", f"{MINIMAL}<{name}>{value}</{name}>"))
        assert reply.text("ErrorCode") == "43060"


def test_the_two_enumerations_that_differ_in_one_word_are_kept_apart(client: Conversation) -> None:
    for name, value in (("UpdateType", "AddButDoNotUpdate"), ("ControlColumnDefaultAction", "AddAndDoNotUpdate")):
        reply = client.create(thing("ImportDefinition", f"{MINIMAL}<{name}>{value}</{name}>"))
        assert reply.text("ErrorCode") == "43060"


def _text(element: etree._Element, name: str) -> str:
    return element.findtext(f"{{{PARTNER}}}{name}") or ""

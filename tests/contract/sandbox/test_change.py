"""Create, Update and Delete: texts, layouts, partial updates and refusals."""

import pytest

from tests.support.sandbox_server import SandboxProcess
from tests.support.soap_conversation import PARTNER, Conversation, equals, thing

TARGET = '<DestinationObject xsi:type="DataExtension"><CustomerKey>people</CustomerKey></DestinationObject>'


@pytest.fixture(autouse=True)
def _destination(client: Conversation) -> None:
    client.make_data_extension("people")


def _definition(key: str, more: str = "", target: str = TARGET) -> str:
    return thing("ImportDefinition", f"<CustomerKey>{key}</CustomerKey>{target}{more}")


def test_created_updated_deleted_with_the_texts_of_the_live_service(client: Conversation) -> None:
    created = client.create(_definition("daily"))
    updated = client.update(thing("ImportDefinition", "<CustomerKey>daily</CustomerKey><Name>n</Name>"))
    deleted = client.delete(thing("ImportDefinition", "<CustomerKey>daily</CustomerKey>"))
    texts = [reply.text("StatusMessage") for reply in (created, updated, deleted)]
    assert texts == ["ImportDefinition created.", "ImportDefinition updated", "ImportDefinition deleted"]
    assert {reply.text("OverallStatus") for reply in (created, updated, deleted)} == {"OK"}
    assert client.perform("daily").text("ErrorCode") == "43010"


def test_the_layout_of_a_create_has_results_first_and_the_status_last(client: Conversation) -> None:
    reply = client.create(_definition("daily"))
    assert reply.children("CreateResponse") == ["Results", "RequestID", "OverallStatus"]
    names = ["StatusCode", "StatusMessage", "OrdinalID", "NewID", "NewObjectID", "Object"]
    assert reply.children("Results") == names
    assert (reply.text("OrdinalID"), reply.text("NewID")) == ("0", "0")
    assert reply.text("NewObjectID") == reply.text("ObjectID")


def test_a_failing_create_is_http_200_with_an_error_result(client: Conversation) -> None:
    client.create(_definition("daily"))
    reply = client.create(_definition("daily"))
    assert reply.status == 200
    assert reply.children("Results") == ["StatusCode", "StatusMessage", "OrdinalID", "ErrorCode", "NewID", "Object"]
    assert (reply.text("OverallStatus"), reply.text("ErrorCode")) == ("Error", "43030")


def test_an_update_changes_what_it_names_and_nil_removes(client: Conversation) -> None:
    client.create(_definition("daily", "<Name>old</Name><Description>kept</Description><FileSpec>gone</FileSpec>"))
    client.update(
        thing("ImportDefinition", '<CustomerKey>daily</CustomerKey><Name>new</Name><FileSpec xsi:nil="true"/>')
    )
    reply = client.retrieve("ImportDefinition", ["Name", "Description", "FileSpec"], equals("CustomerKey", "daily"))
    assert reply.texts("Name") == ["new"]
    assert reply.texts("Description") == ["kept"]
    assert reply.texts("FileSpec") == []


def test_update_and_delete_find_a_definition_by_its_object_id(client: Conversation) -> None:
    object_id = client.create(_definition("daily")).text("NewObjectID")
    identity = f"<ObjectID>{object_id}</ObjectID>"
    assert client.update(thing("ImportDefinition", f"{identity}<Name>n</Name>")).text("OverallStatus") == "OK"
    assert client.delete(thing("ImportDefinition", identity)).text("OverallStatus") == "OK"


@pytest.mark.parametrize("change", ["update", "delete"])
def test_changing_what_is_not_there_is_43010(client: Conversation, change: str) -> None:
    call = client.update if change == "update" else client.delete
    reply = call(thing("ImportDefinition", "<CustomerKey>unknown</CustomerKey>"))
    assert (reply.text("OverallStatus"), reply.text("ErrorCode")) == ("Error", "43010")


@pytest.mark.parametrize(
    ("properties", "code", "message"),
    [
        (TARGET, "43000", "Customer Key Not Specified"),
        (f"<CustomerKey>{'k' * 37}</CustomerKey>{TARGET}", "43060", "CustomerKey is longer than 36 characters"),
        ("<CustomerKey>k</CustomerKey>", "43060", "DestinationObject is required"),
        (
            "<CustomerKey>k</CustomerKey><DestinationObject><ID>1</ID></DestinationObject>",
            "43040",
            "ID of the custom object cannot be empty.",
        ),
        (
            '<CustomerKey>k</CustomerKey><DestinationObject xsi:type="DataExtension"/>',
            "43040",
            "ID of the custom object cannot be empty.",
        ),
        (
            (
                '<CustomerKey>k</CustomerKey><DestinationObject xsi:type="DataExtension"><CustomerKey>x</CustomerKey>'
                "</DestinationObject>"
            ),
            "43040",
            "The data extension of DestinationObject does not exist.",
        ),
        (
            '<CustomerKey>k</CustomerKey><DestinationObject xsi:type="List"><ID>99</ID></DestinationObject>',
            "43040",
            "The list with ID 99 does not exist.",
        ),
        (
            (
                '<CustomerKey>k</CustomerKey><DestinationObject xsi:type="List"><CustomerKey>l</CustomerKey>'
                "</DestinationObject>"
            ),
            "43040",
            "The ID of a list must be specified; ObjectID and CustomerKey do not do.",
        ),
        (
            f"<CustomerKey>k</CustomerKey>{TARGET}<UpdateType>AddButDoNotUpdate</UpdateType>",
            "43060",
            "Validation Error: 'AddButDoNotUpdate' is not a valid ImportDefinitionUpdateType value for UpdateType",
        ),
        (
            f"<CustomerKey>k</CustomerKey>{TARGET}<MaxFileAge>old</MaxFileAge>",
            "43060",
            "Validation Error: 'old' is not a valid int value for MaxFileAge",
        ),
        (
            f"<CustomerKey>k</CustomerKey>{TARGET}<MaxFileAge>99999999999</MaxFileAge>",
            "43060",
            "Validation Error: '99999999999' is not a valid int value for MaxFileAge",
        ),
        (
            f"<CustomerKey>k</CustomerKey>{TARGET}<AllowErrors>perhaps</AllowErrors>",
            "43060",
            "Validation Error: 'perhaps' is not a valid boolean value for AllowErrors",
        ),
        (
            f"<CustomerKey>k</CustomerKey>{TARGET}<HeaderLines>-1</HeaderLines>",
            "43060",
            "HeaderLines must not be negative",
        ),
    ],
)
def test_a_definition_that_cannot_be_is_refused(client: Conversation, properties: str, code: str, message: str) -> None:
    reply = client.create(thing("ImportDefinition", properties))
    assert (reply.status, reply.text("OverallStatus")) == (200, "Error")
    assert (reply.text("ErrorCode"), reply.text("StatusMessage")) == (code, message)


def test_an_update_that_breaks_the_destination_is_43050_and_changes_nothing(client: Conversation) -> None:
    client.create(_definition("daily", "<Name>old</Name>"))
    broken = TARGET.replace("people", "unknown")
    reply = client.update(thing("ImportDefinition", f"<CustomerKey>daily</CustomerKey><Name>new</Name>{broken}"))
    assert reply.text("ErrorCode") == "43050"
    after = client.retrieve("ImportDefinition", ["Name"], equals("CustomerKey", "daily"))
    assert after.texts("Name") == ["old"]


@pytest.mark.parametrize("kind", ["QueryDefinition", "ImportResultsSummary", "NoSuchThing"])
def test_a_type_that_cannot_be_created_is_error_5(client: Conversation, kind: str) -> None:
    reply = client.create(thing(kind, "<CustomerKey>x</CustomerKey>"))
    assert reply.text("ErrorCode") == "5"
    assert reply.text("StatusMessage") == f"Cannot perform Create on objects of type {kind}"


def test_several_objects_give_one_numbered_result_each(client: Conversation) -> None:
    reply = client.create(_definition("a") + _definition("") + _definition("c"))
    assert reply.text("OverallStatus") == "Has Errors"
    assert reply.texts("OrdinalID") == ["0", "1", "2"]
    assert reply.texts("StatusCode") == ["OK", "Error", "OK"]


def test_no_object_is_error_6(client: Conversation) -> None:
    for call in (client.create, client.update, client.delete):
        assert call("").text("ErrorCode") == "6"


def test_options_may_be_left_out_as_real_clients_do(client: Conversation) -> None:
    payload = f'<CreateRequest xmlns="{PARTNER}">{_definition("daily")}</CreateRequest>'
    assert client.call("Create", payload).text("OverallStatus") == "OK"


def test_a_list_gets_a_number_and_can_be_a_destination(client: Conversation, sandbox: SandboxProcess) -> None:
    made = client.create(thing("List", "<ListName>Customers</ListName>"))
    number = made.text("NewID")
    assert int(number) > 0
    target = f'<DestinationObject xsi:type="List"><ID>{number}</ID></DestinationObject>'
    assert client.create(_definition("to-list", target=target)).text("OverallStatus") == "OK"
    shown = client.retrieve("List", ["ID", "ListName"], equals("ListName", "Customers"))
    assert shown.texts("ID") == [number]


def test_a_data_extension_is_read_with_its_fields_and_deleted(client: Conversation) -> None:
    fields = client.retrieve(
        "DataExtensionField", ["Name", "IsPrimaryKey"], equals("DataExtension.CustomerKey", "people")
    )
    assert (fields.texts("Name"), fields.texts("IsPrimaryKey")) == (["key"], ["true"])
    assert client.retrieve("DataExtension", ["CustomerKey"]).texts("CustomerKey") == ["people"]
    deleted = client.delete(thing("DataExtension", "<CustomerKey>people</CustomerKey>"))
    assert (deleted.text("OverallStatus"), deleted.text("StatusMessage")) == ("OK", "Data Extension deleted.")
    assert client.retrieve("DataExtension", ["CustomerKey"]).texts("CustomerKey") == []


@pytest.mark.parametrize(
    ("kind", "named"),
    [("List", "<ListName>Customers</ListName>"), ("FileTransferLocation", "<CustomerKey>f</CustomerKey>")],
)
def test_lists_and_locations_are_changed_and_deleted_by_object_id_too(
    client: Conversation, kind: str, named: str
) -> None:
    object_id = client.create(thing(kind, named)).text("NewObjectID")
    same = thing(kind, f"<ObjectID>{object_id}</ObjectID>")
    assert client.update(same).text("StatusMessage") == f"{kind} updated"
    assert client.delete(same).text("StatusMessage") == f"{kind} deleted"
    assert client.delete(same).text("OverallStatus") == "Error"


def test_a_data_extension_field_has_a_size_that_can_be(client: Conversation) -> None:
    for size, complaint in (
        ("<MaxLength>-1</MaxLength>", "MaxLength"),
        ("<FieldType>Decimal</FieldType><MaxLength>39</MaxLength>", "MaxLength"),
        ("<FieldType>Decimal</FieldType><MaxLength>5</MaxLength><Scale>6</Scale>", "Scale"),
        ("<FieldType>Decimal</FieldType><Scale>-1</Scale>", "Scale"),
    ):
        field = f"<Fields><Field><Name>size</Name>{size}</Field></Fields>"
        reply = client.create(thing("DataExtension", f"<CustomerKey>x</CustomerKey><Name>x</Name>{field}"))
        assert reply.text("OverallStatus") == "Error"
        assert complaint in reply.text("StatusMessage")


def test_a_file_transfer_location_is_a_folder(client: Conversation, sandbox: SandboxProcess) -> None:
    made = client.create(thing("FileTransferLocation", "<CustomerKey>partner sftp</CustomerKey>"))
    assert made.text("OverallStatus") == "OK"
    assert sandbox.drop("a.csv", "", location="partner sftp").parent.is_dir()
    known = client.retrieve("FileTransferLocation", ["CustomerKey"]).texts("CustomerKey")
    assert known == ["ExactTarget Enhanced FTP", "partner sftp"]


@pytest.mark.parametrize("key", ["../up", "..", "a/b", ""])
def test_a_file_transfer_location_cannot_leave_its_folder(client: Conversation, key: str) -> None:
    reply = client.create(thing("FileTransferLocation", f"<CustomerKey>{key}</CustomerKey>"))
    assert reply.text("OverallStatus") == "Error"

"""A WSDL-driven client (zeep) loads the WSDL that the sandbox serves and uses every operation."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zeep
import zeep.exceptions
from lxml import etree

from tests.support.sandbox_server import SandboxProcess
from tests.support.soap_conversation import Conversation
from tests.support.waiting import eventually

NS = "{http://exacttarget.com/wsdl/partnerAPI}"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    data: Path = tmp_path_factory.mktemp("data")
    with SandboxProcess(data=data) as process:
        yield process
        assert process.control.health()["invalid_replies"] == 0


@pytest.fixture
def api(sandbox: SandboxProcess) -> "Api":
    sandbox.control.reset()
    return Api(sandbox)


class Api:
    """A zeep client with a token; unknown names are types of the WSDL."""

    def __init__(self, sandbox: SandboxProcess, **settings: Any) -> None:
        self.client = zeep.Client(sandbox.wsdl_url, settings=zeep.Settings(**{"strict": False, **settings}))
        token = etree.Element("{http://exacttarget.com}fueloauth")
        token.text = Conversation(sandbox).token()
        self.client.set_default_soapheaders([token])
        self.service = self.client.service

    def __getattr__(self, name: str) -> Any:
        return self.client.get_type(f"{NS}{name}")


def _make_people(api: Api) -> None:
    fields = [
        api.DataExtensionField(Name="email", FieldType="EmailAddress", IsPrimaryKey=True),
        api.DataExtensionField(Name="age", FieldType="Number"),
    ]
    people = api.DataExtension(CustomerKey="people", Name="People", Fields={"Field": fields})
    assert api.service.Create(Options={}, Objects=[people])["OverallStatus"] == "OK"


def _make_definition(api: Api) -> Any:
    definition = api.ImportDefinition(
        CustomerKey="daily",
        Name="Daily",
        AllowErrors=True,
        DestinationObject=api.DataExtension(CustomerKey="people"),
        FieldMappingType="InferFromColumnHeadings",
        FileSpec="people.csv",
        FileType="CSV",
        UpdateType="AddAndUpdate",
        RetrieveFileTransferLocation=api.FileTransferLocation(CustomerKey="ExactTarget Enhanced FTP"),
    )
    return api.service.Create(Options={}, Objects=[definition])


def test_an_import_from_create_to_rows(api: Api, sandbox: SandboxProcess) -> None:
    _make_people(api)
    assert _make_definition(api)["Results"][0]["StatusMessage"] == "ImportDefinition created."
    sandbox.drop("people.csv", "email,age\na@example.com,41\nb@example.com,x\nc@example.com,43\n")
    started = api.service.Perform(
        Action="start", Definitions={"Definition": [api.ImportDefinition(CustomerKey="daily")]}
    )
    task = started["Results"]["Result"][0]["Task"]["ID"]
    summary = eventually(lambda: _ended(api, task), 60, "the import ended")
    assert summary["ImportStatus"] == "Completed"
    assert (summary["NumberSuccessful"], summary["NumberErrors"], summary["TotalRows"]) == (2, 1, 3)
    assert [bad["line"] for bad in sandbox.control.bad_rows(task)] == [3]
    assert _rows(api) == [{"email": "a@example.com", "age": "41"}, {"email": "c@example.com", "age": "43"}]


def _ended(api: Api, task: str) -> Any:
    names = ["TaskResultID", "ImportStatus", "NumberSuccessful", "NumberErrors", "TotalRows"]
    condition = api.SimpleFilterPart(Property="TaskResultID", SimpleOperator="equals", Value=[task])
    found = api.service.Retrieve({"ObjectType": "ImportResultsSummary", "Properties": names, "Filter": condition})
    return next((row for row in found["Results"] if row["ImportStatus"] in {"Completed", "Error"}), None)


def _rows(api: Api) -> list[dict[str, str]]:
    found = api.service.Retrieve({"ObjectType": "DataExtensionObject[people]", "Properties": ["email", "age"]})
    assert found["OverallStatus"] == "OK"
    return [{one["Name"]: one["Value"] for one in row["Properties"]["Property"]} for row in found["Results"]]


def test_rows_of_a_data_extension_can_be_filtered(api: Api, sandbox: SandboxProcess) -> None:
    _make_people(api)
    _make_definition(api)
    sandbox.drop("people.csv", "email,age\na@example.com,41\nb@example.com,42\n")
    task = (
        sandbox.control
        and api.service.Perform(
            Action="start", Definitions={"Definition": [api.ImportDefinition(CustomerKey="daily")]}
        )["Results"]["Result"][0]["Task"]["ID"]
    )
    eventually(lambda: _ended(api, task), 60, "the import ended")
    older = api.SimpleFilterPart(Property="age", SimpleOperator="greaterThan", Value=["41"])
    found = api.service.Retrieve(
        {"ObjectType": "DataExtensionObject[people]", "Properties": ["email"], "Filter": older}
    )
    assert [row["Properties"]["Property"][0]["Value"] for row in found["Results"]] == ["b@example.com"]


def test_many_rows_come_in_batches_of_2500_and_a_dropped_table_ends_nothing(api: Api, sandbox: SandboxProcess) -> None:
    sandbox.control.define("many", FileSpec="many.csv")
    sandbox.drop("many.csv", "key\n" + "".join(f"{number:06}\n" for number in range(6000)))
    api.service.Perform(Action="start", Definitions={"Definition": [api.ImportDefinition(CustomerKey="many")]})
    eventually(lambda: sandbox.control.performs()[0]["result"], 60, "the import ended")
    fields = {"ObjectType": "DataExtensionObject[many]", "Properties": ["key"]}
    first = api.service.Retrieve(fields)
    api.service.Delete(Options={}, Objects=[api.DataExtension(CustomerKey="many")])
    second = api.service.Retrieve({**fields, "ContinueRequest": first["RequestID"]})
    third = api.service.Retrieve({**fields, "ContinueRequest": second["RequestID"]})
    assert [found["OverallStatus"] for found in (first, second, third)] == ["MoreDataAvailable"] * 2 + ["OK"]
    assert [len(found["Results"]) for found in (first, second, third)] == [2500, 2500, 1000]


@pytest.mark.parametrize("kind", ["DataExtensionObject[unknown]", "DataExtensionObject", "DataExtensionObject[]"])
def test_rows_of_no_data_extension_are_an_error_text(api: Api, kind: str) -> None:
    found = api.service.Retrieve({"ObjectType": kind, "Properties": ["x"]})
    assert found["OverallStatus"].startswith("Error: Unable to find a handler")


def test_an_unknown_column_is_an_error_text(api: Api) -> None:
    _make_people(api)
    found = api.service.Retrieve({"ObjectType": "DataExtensionObject[people]", "Properties": ["colour"]})
    assert "Request Property(s) colour do not match" in found["OverallStatus"]


def test_subscribers_of_a_list_can_be_read_after_an_import(api: Api, sandbox: SandboxProcess) -> None:
    number = api.service.Create(Options={}, Objects=[api.List(ListName="Customers")])["Results"][0]["NewID"]
    definition = api.ImportDefinition(
        CustomerKey="to-list",
        DestinationObject=api.List(ID=number),
        FieldMappingType="InferFromColumnHeadings",
        FileSpec="list.csv",
        FileType="CSV",
        UpdateType="AddAndUpdate",
        SubscriberImportType="Email",
    )
    assert api.service.Create(Options={}, Objects=[definition])["OverallStatus"] == "OK"
    sandbox.drop("list.csv", "Email Address\na@example.com\nb@example.com\n")
    api.service.Perform(Action="start", Definitions={"Definition": [api.ImportDefinition(CustomerKey="to-list")]})
    eventually(lambda: sandbox.control.performs()[0]["result"], 60, "the import ended")
    summary = api.service.Retrieve(
        {"ObjectType": "ImportResultsSummary", "Properties": ["ImportType", "DestinationID", "ImportStatus"]}
    )["Results"][0]
    assert (summary["ImportStatus"], summary["ImportType"]) == ("Completed", "Subscriber List")
    assert summary["DestinationID"] == str(number)
    wanted = api.SimpleFilterPart(Property="ListID", SimpleOperator="equals", Value=[str(number)])
    members = api.service.Retrieve(
        {"ObjectType": "ListSubscriber", "Properties": ["SubscriberKey", "ListID"], "Filter": wanted}
    )["Results"]
    assert [member["SubscriberKey"] for member in members] == ["a@example.com", "b@example.com"]


def test_update_and_delete(api: Api) -> None:
    _make_people(api)
    _make_definition(api)
    changed = api.ImportDefinition(CustomerKey="daily", Description="changed")
    assert (
        api.service.Update(Options={}, Objects=[changed])["Results"][0]["StatusMessage"] == "ImportDefinition updated"
    )
    gone = api.ImportDefinition(CustomerKey="daily")
    deleted = api.service.Delete(Options={}, Objects=[gone])["Results"][0]
    assert deleted["StatusMessage"] == "ImportDefinition deleted"


def test_describe_system_status_and_version(api: Api, sandbox: SandboxProcess) -> None:
    asked = {"ObjectDefinitionRequest": [{"ObjectType": "ImportDefinition"}, {"ObjectType": "Nonsense"}]}
    described = api.service.Describe(DescribeRequests=asked)["ObjectDefinition"]
    assert [(one["ObjectType"], len(one["Properties"])) for one in described] == [
        ("ImportDefinition", 46),
        ("Nonsense", 0),
    ]
    assert api.service.GetSystemStatus()["Results"]["Result"][0]["SystemStatus"] == "OK"
    sandbox.control.set_system_status("InMaintenance")
    assert api.service.GetSystemStatus()["Results"]["Result"][0]["SystemStatus"] == "InMaintenance"
    plain = api.service.VersionInfo(IncludeVersionHistory=False)["VersionInfo"]
    full = api.service.VersionInfo(IncludeVersionHistory=True)["VersionInfo"]
    assert (len(plain["VersionHistory"]), len(full["VersionHistory"])) == (0, 1)


def test_a_fault_reaches_the_client_as_a_fault(api: Api, sandbox: SandboxProcess) -> None:
    sandbox.control.expire_tokens()
    with pytest.raises(zeep.exceptions.Fault, match="Token Expired") as caught:
        api.service.GetSystemStatus()
    assert caught.value.code == "q0:Security"


def test_the_element_no_wsdl_declares_breaks_only_strict_readers(tmp_path: Path) -> None:
    with SandboxProcess(["--is-platform-object"]) as sandbox:
        sandbox.control.define("daily")
        lenient, strict = Api(sandbox, strict=False), Api(sandbox, strict=True)
        fields = {"Definition": [lenient.ImportDefinition(CustomerKey="daily")]}
        assert lenient.service.Perform(Action="start", Definitions=fields)["OverallStatus"] == "OK"
        fields = {"Definition": [strict.ImportDefinition(CustomerKey="daily")]}
        with pytest.raises(zeep.exceptions.XMLParseError, match="IsPlatformObject"):
            strict.service.Perform(Action="start", Definitions=fields)
        assert len(sandbox.control.performs()) == 2

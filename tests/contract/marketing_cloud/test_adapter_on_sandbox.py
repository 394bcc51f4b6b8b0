"""What only the adapter does, against the sandbox: tokens, pages, retries, and each fault it can show."""

from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from sfmc_import.faults import Ambiguous, NotApplied, Rejected
from sfmc_import.file_format import Column, FileDescription, FileFormat
from sfmc_import.marketing_cloud import MarketingCloudConfig, PlainSecret, connect
from sfmc_import.marketing_cloud.client import IDS_PER_QUERY
from sfmc_import.runs import ENHANCED_FTP, Accepted, FileLocation
from tests.contract.marketing_cloud.conftest import on_sandbox
from tests.contract.marketing_cloud.subjects import MID, start
from tests.support.sandbox_server import CLIENT_ID, SandboxProcess
from tests.support.soap_conversation import Conversation, thing
from tests.support.waiting import eventually

BEFORE = {
    "http_400": Rejected,
    "http_500": Ambiguous,
    "http_429": NotApplied,
    "http_503": Ambiguous,
    "fault_2": Ambiguous,
    "fault_9": NotApplied,
    "fault_10": NotApplied,
    "fault_11": Rejected,
    "fault_12": NotApplied,
    "fault_13": NotApplied,
    "fault_17": NotApplied,
    "error_43010": Rejected,
    "error_43060": Rejected,
    "drop_before_applying": Ambiguous,
}
AFTER = (
    "missing_task",
    "drop_after_applying",
    "http_500_after_applying",
    "fault_2_after_applying",
    "garbage",
    "truncated",
    "wrong_content_type",
)


@pytest.mark.parametrize("fault", sorted(BEFORE))
def test_a_fault_before_the_start_is_judged_by_the_table(real, fault):
    real.define("orders")
    real.control.add_fault(fault, count=1)

    assert isinstance(start(real, "orders"), BEFORE[fault])
    assert real.applied("orders") == []


@pytest.mark.parametrize("fault", AFTER)
def test_a_fault_after_the_start_is_ambiguous_and_nothing_is_sent_again(real, fault):
    real.define("orders")
    real.control.add_fault(fault, count=1)

    assert isinstance(start(real, "orders"), Ambiguous)
    assert len(real.applied("orders")) == 1


def test_an_answer_that_comes_in_drop_by_drop_is_ambiguous_when_the_time_is_over(sandbox):
    config = MarketingCloudConfig(
        soap_url=sandbox.soap_url, username="demo-user", password=PlainSecret("demo-password"), read_timeout=0.5
    )
    sandbox.control.define("orders")
    sandbox.control.add_fault("slow_drip", count=1, seconds=30)
    service = connect(config)

    fault = service.start(MID, "orders", not_after=float("inf"))

    assert isinstance(fault, Ambiguous)
    assert fault.code == "read_timeout"


@pytest.mark.parametrize("fault", ["token_expired", "login_failed"])
def test_a_refused_token_is_renewed_once_and_the_start_goes_through(real, fault):
    real.define("orders")
    real.control.add_fault(fault, count=1)

    assert isinstance(start(real, "orders"), Accepted)
    assert len(real.applied("orders")) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 409, 413, 429, 431, 503])
def test_a_start_that_was_applied_and_refused_by_a_server_between_is_sent_once(real, status):
    real.define("orders")
    real.control.add_fault("http_any_after_applying", status=status)

    assert not isinstance(start(real, "orders"), Accepted)
    assert len(real.applied("orders")) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_login_that_http_refuses_for_a_start_is_renewed_and_the_start_is_not_sent_again(sandbox, status):
    real = on_sandbox(sandbox, "token")
    real.define("orders")
    start(real, "orders")
    real.control.add_fault("http_any", status=status, operation="Perform", count=1)
    fault = start(real, "orders")

    assert (fault.code, fault.account_wide) == ("http_refused", True)
    assert isinstance(start(real, "orders"), Accepted)
    assert len(real.applied("orders")) == 2


def test_a_token_that_expired_in_the_meantime_is_renewed(real):
    real.define("orders")
    start(real, "orders")
    real.control.expire_tokens()

    assert isinstance(start(real, "orders"), Accepted)
    assert len(real.applied("orders")) == 2


@pytest.mark.parametrize("credentials", ["token", "user"])
def test_a_login_that_stays_refused_is_an_account_wide_failure(sandbox, credentials):
    real = on_sandbox(sandbox, credentials)
    real.define("orders")
    real.control.add_fault("login_failed", count=1000)

    fault = start(real, "orders")

    assert isinstance(fault, NotApplied)
    assert (fault.code, fault.account_wide) == ("login_failed", True)
    assert "check" in fault.text
    assert real.applied("orders") == []


def test_a_wrong_client_is_an_account_wide_failure_for_starts_and_queries(sandbox):
    config = MarketingCloudConfig(
        soap_url=sandbox.soap_url, auth_url=sandbox.auth_url, client_id=CLIENT_ID, client_secret=PlainSecret("wrong")
    )
    service = connect(config)

    for fault in (service.start(MID, "orders", not_after=float("inf")), service.definition(MID, "orders")):
        assert isinstance(fault, NotApplied)
        assert (fault.code, fault.account_wide) == ("login_failed", True)
        assert "SFMC_CLIENT_SECRET" in fault.text
        assert "wrong" not in fault.text.split("check")[0]


@pytest.mark.parametrize("fault", ["http_500", "fault_2", "fault_13", "drop_before_applying", "garbage", "truncated"])
def test_a_query_is_asked_again_until_it_is_answered(real, fault):
    real.define("orders")
    real.control.add_fault(fault, "Retrieve", count=2)

    assert real.service.definition(MID, "orders").customer_key == "orders"


def test_pages_are_put_together(sandbox):
    # The service answers with 2,500 rows at most.
    keys = {f"definition-{number:04}" for number in range(2600)}
    target = '<DestinationObject xsi:type="List"><ID>1</ID></DestinationObject>'
    things = [thing("ImportDefinition", f"<CustomerKey>{key}</CustomerKey>{target}") for key in sorted(keys)]
    for first in range(0, len(things), 650):
        created = Conversation(sandbox).create("".join(things[first : first + 650]))
        assert created.text("OverallStatus") == "OK"

    listed = on_sandbox(sandbox, "token").service.definitions(MID)

    assert {definition.customer_key for definition in listed} == keys


def test_more_tasks_than_fit_one_query_are_looked_up_in_several(real):
    real.define("orders")
    task_ids = [start(real, "orders").task_id for _ in range(2)]
    others = [str(900000000 + number) for number in range(IDS_PER_QUERY)]

    found = real.service.runs(MID, [*task_ids, *others])

    assert found.keys() == set(task_ids)


def test_where_newer_runs_cannot_be_asked_for_all_are_and_that_is_learnt_once():
    with SandboxProcess(["--comparisons", "refuse"]) as strict:
        real = on_sandbox(strict, "token")
        real.define("orders")
        task_id = start(real, "orders").task_id
        eventually(lambda: real.service.runs_of(MID, "orders"), within=60, description="the run is visible")

        with capture_logs() as logs:
            for _ in range(2):
                assert [run.task_id for run in real.service.runs_of(MID, "orders", above=task_id)] == [task_id]

    refusals = [entry for entry in logs if entry["event"] == "newer_runs_refused"]
    assert [(entry["code"], "greaterThan" in entry["text"]) for entry in refusals] == [("no_code", True)]


def test_while_no_runs_can_be_asked_for_nothing_is_learnt_about_newer_ones(real):
    real.define("orders")
    first = start(real, "orders").task_id
    second = start(real, "orders").task_id
    eventually(lambda: len(real.service.runs_of(MID, "orders")) == 2, within=60, description="both are visible")
    real.control.add_fault("error_timeout", operation="Retrieve", count=50)
    assert isinstance(real.service.runs_of(MID, "orders", above=first), NotApplied)
    real.control.clear_faults()

    assert [run.task_id for run in real.service.runs_of(MID, "orders", above=first)] == [second]


def test_keys_of_any_script_arrive_as_they_are(real):
    for key in ("Übersicht & <Käufe>", "注文", "a'b\"c", "--slot:token--"):
        real.define(key)

        assert isinstance(start(real, key), Accepted)
        assert real.service.definition(MID, key).customer_key == key


def test_a_key_that_xml_cannot_carry_is_rejected_and_nothing_is_sent(real):
    fault = start(real, "a\x00b")

    assert isinstance(fault, Rejected)
    assert fault.code == "unsendable"


def test_destination_and_location_of_a_definition_are_read(real):
    real.define("orders")

    assert real.service.definition(MID, "orders").destination


def described(key: str, *fields: str) -> str:
    columns = "".join(f"<Field>{each}</Field>" for each in fields)
    return thing("DataExtension", f"<CustomerKey>{key}</CustomerKey><Name>{key}</Name><Fields>{columns}</Fields>")


def test_how_a_file_is_read_and_the_columns_of_its_destination_are_described(real, sandbox):
    decimal = "<MaxLength>9</MaxLength><IsRequired>true</IsRequired><FieldType>Decimal</FieldType><Scale>2</Scale>"
    fields = (
        "<Name>Id</Name><IsPrimaryKey>true</IsPrimaryKey><FieldType>Number</FieldType>",
        f"<Name>Price</Name>{decimal}",
        "<Name>Note</Name><DefaultValue>none</DefaultValue><MaxLength>50</MaxLength><FieldType>Text</FieldType>",
    )
    assert Conversation(sandbox).create(described("people", *fields)).text("OverallStatus") == "OK"
    destination = {"xsi:type": "DataExtension", "CustomerKey": "people"}
    form = {"FileType": "Other", "Delimiter": ";", "HeaderLines": 2, "NullRepresentation": "NULL"}
    more = {"FieldMappingType": "InferFromColumnHeadings", "StandardQuotedStrings": True}
    real.control.define("orders", DestinationObject=destination, **form, **more)

    found = real.service.description(MID, "orders")
    assert isinstance(found, FileDescription)
    read = replace(found.format, destination=None)
    assert read == FileFormat(
        file_type="Other", delimiter=";", header_lines=2, mapping="InferFromColumnHeadings", is_quoted=True,
        null_text="NULL",
    )  # fmt: skip
    assert found.columns == (
        Column(name="Id", type="Number", is_required=True, is_primary_key=True),
        Column(name="Price", type="Decimal", length=9, scale=2, is_required=True),
        Column(name="Note", length=50, has_default=True),
    )
    assert real.service.description(MID, "no such") is None


def test_a_description_that_cannot_be_read_now_is_a_fault(real):
    real.control.define("orders")
    real.control.add_fault("fault_10", operation="Retrieve", count=50)

    assert isinstance(real.service.description(MID, "orders"), NotApplied)


def test_a_definition_reads_from_the_location_that_it_names_or_else_from_the_usual_one(real, sandbox):
    made = Conversation(sandbox).create(thing("FileTransferLocation", "<CustomerKey>partner sftp</CustomerKey>"))
    real.control.define("orders", RetrieveFileTransferLocation={"CustomerKey": "Partner SFTP"})
    real.define("usual")

    found = real.service.location(MID, "orders")
    assert (found.customer_key, found.object_id) == ("partner sftp", made.text("NewObjectID"))
    assert real.service.location(MID, "usual") == FileLocation(ENHANCED_FTP)
    assert real.service.location(MID, "no such") is None


def test_a_location_that_cannot_be_read_now_is_a_fault(real):
    real.control.define("orders", RetrieveFileTransferLocation={"ObjectID": "gone"})
    assert real.service.location(MID, "orders").customer_key is None
    real.control.add_fault("fault_10", operation="Retrieve", count=50)

    assert isinstance(real.service.location(MID, "orders"), NotApplied)

"""Perform: what a start answers, field by field, and every way it is refused."""

import pytest

from tests.support.sandbox_server import SandboxProcess
from tests.support.soap_conversation import PARTNER, Conversation, start


@pytest.fixture(autouse=True)
def _definition(sandbox: SandboxProcess) -> None:
    sandbox.control.define("daily")


def test_a_start_answers_with_the_task_and_the_object_in_the_layout_of_the_live_service(
    client: Conversation, sandbox: SandboxProcess
) -> None:
    reply = client.perform("daily")
    task = sandbox.control.performs()[0]["task_id"]
    assert reply.status == 200
    assert reply.children("PerformResponseMsg") == ["Results", "OverallStatus", "OverallStatusMessage", "RequestID"]
    assert reply.children("Result") == ["StatusCode", "StatusMessage", "Object", "Task"]
    assert reply.children("Object") == ["PartnerKey", "ObjectID", "CustomerKey"]
    assert reply.children("Task") == ["StatusCode", "StatusMessage", "ID", "InteractionObjectID"]
    assert reply.text("StatusMessage") == f"ImportDefinition performed AsyncID:{task}"
    assert reply.text("ID") == task
    assert (reply.text("OverallStatus"), reply.text("OverallStatusMessage")) == ("OK", "")
    assert reply.text("CustomerKey") == "daily"


def test_each_start_gets_a_new_and_greater_task_id(client: Conversation) -> None:
    ids = [int(client.perform("daily").text("ID")) for _ in range(5)]
    assert ids == sorted(set(ids))


@pytest.mark.parametrize("action", ["start", "Start", "START"])
def test_the_action_start_is_understood_in_any_case(client: Conversation, action: str) -> None:
    assert client.perform("daily", action=action).text("OverallStatus") == "OK"


def test_a_definition_can_be_named_by_its_object_id(client: Conversation, sandbox: SandboxProcess) -> None:
    object_id = sandbox.control.define("other")["object_id"]
    reply = client.call("Perform", start(f"<ObjectID>{object_id.upper()}</ObjectID>"))
    assert reply.text("OverallStatus") == "OK"
    assert sandbox.control.performs()[0]["customer_key"] == "other"


@pytest.mark.parametrize(
    ("identity", "code", "message"),
    [
        ("<CustomerKey>unknown</CustomerKey>", "43010", "ImportDefinition Not Found"),
        ("<CustomerKey/>", "43000", "Customer Key Not Specified"),
        ("<CustomerKey>  </CustomerKey>", "43000", "Customer Key Not Specified"),
        ("<CustomerKey xsi:nil='true'/>", "43000", "Customer Key Not Specified"),
        (f"<CustomerKey>{'k' * 5000}</CustomerKey>", "43010", "ImportDefinition Not Found"),
        ("<ObjectID>00000000-0000-0000-0000-000000000000</ObjectID>", "43010", "ImportDefinition Not Found"),
        (
            "<ObjectID>soon</ObjectID>",
            "",
            "Guid should contain 32 digits with 4 dashes (xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx).",
        ),
    ],
)
def test_a_start_without_a_definition_is_an_error_result(
    client: Conversation, sandbox: SandboxProcess, identity: str, code: str, message: str
) -> None:
    reply = client.call("Perform", start(identity))
    assert reply.status == 200
    assert (reply.text("OverallStatus"), reply.text("OverallStatusMessage")) == ("Error", message)
    assert (reply.text("StatusCode"), reply.text("StatusMessage"), reply.text("ErrorCode")) == ("Error", message, code)
    assert reply.texts("ID") == []
    assert sandbox.control.performs() == []


@pytest.mark.parametrize("action", ["stop", "pause", "", "st art"])
def test_any_other_action_is_refused_with_the_text_of_the_live_service(client: Conversation, action: str) -> None:
    reply = client.perform("daily", action=action)
    wanted = f"{action} is not an action that can be Performed on a InteractionDefinition. ErrorID = "
    assert reply.text("StatusMessage").startswith(wanted)
    assert reply.text("OverallStatus") == "Error"


def test_no_definition_at_all_is_error_6(client: Conversation) -> None:
    for definitions in ("<Definitions/>", ""):
        payload = f'<PerformRequestMsg xmlns="{PARTNER}"><Action>start</Action>{definitions}</PerformRequestMsg>'
        reply = client.call("Perform", payload)
        assert reply.text("ErrorCode") == "6"
        assert reply.text("StatusMessage") == "No object specified at 0-based index 0"


@pytest.mark.parametrize("kind", ["QueryDefinition", "List", "APIObject", "NoSuchThing"])
def test_any_other_type_of_object_is_error_43020(client: Conversation, kind: str) -> None:
    payload = start("<CustomerKey>daily</CustomerKey>").replace("ImportDefinition", kind)
    reply = client.call("Perform", payload)
    assert (reply.text("OverallStatus"), reply.text("ErrorCode")) == ("Error", "43020")


def test_a_definition_without_a_type_is_error_43020(client: Conversation) -> None:
    payload = start("<CustomerKey>daily</CustomerKey>").replace(' xsi:type="ImportDefinition"', "")
    assert client.call("Perform", payload).text("ErrorCode") == "43020"


def test_several_definitions_give_one_numbered_result_each(client: Conversation, sandbox: SandboxProcess) -> None:
    one = '<Definition xsi:type="ImportDefinition"><CustomerKey>{}</CustomerKey></Definition>'
    payload = (
        f'<PerformRequestMsg xmlns="{PARTNER}"><Action>start</Action><Definitions>{one.format("daily")}'
        f"{one.format('unknown')}{one.format('daily')}</Definitions></PerformRequestMsg>"
    )
    reply = client.call("Perform", payload)
    assert reply.text("OverallStatus") == "Has Errors"
    assert reply.texts("OrdinalID") == ["0", "1", "2"]
    assert reply.texts("StatusCode") == ["OK", "OK", "Error", "Error", "OK", "OK"]
    assert len(sandbox.control.performs()) == 2


def test_a_conversation_id_is_accepted_once(client: Conversation, sandbox: SandboxProcess) -> None:
    options = "<Options><ConversationID>c-1</ConversationID></Options>"
    first, again = (client.perform("daily", options=options) for _ in range(2))
    assert first.text("OverallStatus") == "OK"
    assert again.text("ErrorCode") == "211"
    assert len(sandbox.control.performs()) == 1


def test_a_start_in_another_business_unit_needs_access_to_it(client: Conversation) -> None:
    reply = client.call("Perform", start("<Client><ID>42</ID></Client><CustomerKey>daily</CustomerKey>"))
    assert reply.text("ErrorCode") == "4"


def test_starting_says_nothing_about_the_file(client: Conversation, sandbox: SandboxProcess) -> None:
    sandbox.control.define("hopeless", FileSpec="missing.csv", RetrieveFileTransferLocation={"CustomerKey": "nowhere"})
    assert client.perform("hopeless").text("OverallStatus") == "OK"

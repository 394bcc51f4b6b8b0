"""Spellings of a key: case and blanks at the end do not count, as in the database of the service; or they do."""

from collections.abc import Iterator

import pytest
import requests

from tests.support.sandbox_server import SandboxProcess
from tests.support.soap_conversation import Conversation, equals, thing
from tests.support.waiting import eventually

SPELLINGS = ["daily", "DAILY", "Daily  ", "daily "]
OTHERS = [" daily", "dai ly", "daily\t", "daily."]
TARGET = '<DestinationObject xsi:type="DataExtension"><CustomerKey>DAILY </CustomerKey></DestinationObject>'


@pytest.fixture
def exact() -> Iterator[SandboxProcess]:
    with SandboxProcess(["--key-comparison", "exact"]) as running:
        yield running


@pytest.fixture(autouse=True)
def _definition(sandbox: SandboxProcess) -> None:
    sandbox.control.define("daily", FileSpec="daily.csv", MaxImportFrequency=6)


@pytest.mark.parametrize("key", SPELLINGS)
def test_any_spelling_starts_the_one_definition_and_is_answered_as_the_definition_is_spelled(
    client: Conversation, sandbox: SandboxProcess, key: str
) -> None:
    reply = client.perform(key)
    assert (reply.text("OverallStatus"), reply.text("CustomerKey")) == ("OK", "daily")
    assert [run["customer_key"] for run in sandbox.control.performs(key)] == ["daily"]
    found = client.retrieve("ImportDefinition", ["CustomerKey"], equals("CustomerKey", key))
    assert found.texts("CustomerKey") == ["daily"]
    runs = client.retrieve("ImportResultsSummary", ["TaskResultID"], equals("ImportDefinitionCustomerKey", key))
    assert len(runs.texts("TaskResultID")) == 1


@pytest.mark.parametrize("key", OTHERS)
def test_another_key_is_not_found(client: Conversation, key: str) -> None:
    assert client.perform(key).text("ErrorCode") == "43010"


@pytest.mark.parametrize("key", SPELLINGS)
def test_a_second_object_with_another_spelling_exists_already(client: Conversation, key: str) -> None:
    named = f"<CustomerKey>{key}</CustomerKey>"
    assert client.create(thing("ImportDefinition", f"{named}{TARGET}")).text("ErrorCode") == "43030"
    extension = client.create(
        thing("DataExtension", f"{named}<Name>x</Name><Fields><Field><Name>a</Name></Field></Fields>")
    )
    assert extension.text("ErrorCode") == "1"
    client.create(thing("FileTransferLocation", "<CustomerKey>My Files</CustomerKey>"))
    assert (
        client.create(thing("FileTransferLocation", "<CustomerKey>MY FILES </CustomerKey>")).text("ErrorCode")
        == "43030"
    )


@pytest.mark.parametrize("key", SPELLINGS)
def test_update_and_delete_find_any_spelling(client: Conversation, sandbox: SandboxProcess, key: str) -> None:
    named = f"<CustomerKey>{key}</CustomerKey>"
    client.update(thing("ImportDefinition", f"{named}<Description>new</Description>"))
    assert sandbox.control.definition("daily")["Description"] == "new"
    assert client.delete(thing("ImportDefinition", named)).text("OverallStatus") == "OK"
    assert client.perform("daily").text("ErrorCode") == "43010"


@pytest.mark.parametrize("key", SPELLINGS)
def test_a_rule_for_a_definition_meets_every_spelling(client: Conversation, sandbox: SandboxProcess, key: str) -> None:
    sandbox.control.add_fault("fault_9", customer_key="daily")
    assert client.perform(key).text("Code") == "9"


def test_all_spellings_have_one_window() -> None:
    with SandboxProcess(["--inside-window", "refuse"]) as sandbox:
        sandbox.control.define("daily", MaxImportFrequency=6)
        client = Conversation(sandbox)
        assert [client.perform(key).text("OverallStatus") for key in SPELLINGS] == ["OK", "Error", "Error", "Error"]


def test_a_location_is_the_folder_that_was_made_for_it(client: Conversation, sandbox: SandboxProcess) -> None:
    client.create(thing("FileTransferLocation", "<CustomerKey>My Files</CustomerKey>"))
    sandbox.control.define("located", FileSpec="x.csv", RetrieveFileTransferLocation={"CustomerKey": "my FILES "})
    sandbox.drop("x.csv", "key\n1\n", location="My Files")
    client.perform("located")
    ended = eventually(lambda: sandbox.control.performs("located")[0]["result"], 20, "the run ended")
    assert (ended["NumberSuccessful"], ended["file"]) == (1, "x.csv")


def test_rows_whose_keys_are_spelled_differently_are_one_row(client: Conversation, sandbox: SandboxProcess) -> None:
    sandbox.drop("daily.csv", "key\nÉva\nÉVA  \néva\nEva\n")
    client.perform("daily")
    ended = eventually(lambda: sandbox.control.performs()[0]["result"], 20, "the run ended")
    assert (ended["NumberSuccessful"], ended["NumberDuplicated"]) == (2, 2)


def test_by_option_every_spelling_is_a_key_of_its_own(exact: SandboxProcess) -> None:
    client = Conversation(exact)
    for key in SPELLINGS:
        exact.control.define(key, Description=key)
    answers = [client.perform(key).text("CustomerKey") for key in SPELLINGS]
    found = client.retrieve("ImportDefinition", ["CustomerKey"], equals("CustomerKey", *SPELLINGS[:2], operator="IN"))
    assert answers == SPELLINGS
    assert sorted(found.texts("CustomerKey")) == ["DAILY", "daily"]
    assert (
        requests.get(f"{exact.url}/_sandbox/performs?customer_key=DAILY", timeout=60).json()[0]["task_id"] == "100002"
    )
    assert client.perform("dAILY").text("ErrorCode") == "43010"

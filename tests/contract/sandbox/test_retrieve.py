"""Retrieve: filters, properties, paging and errors, on definitions and on the summaries of runs."""

import pytest

from tests.support.sandbox_server import SandboxProcess
from tests.support.soap_conversation import Conversation, Reply, equals, thing
from tests.support.waiting import eventually

SUMMARY = [
    "ImportDefinitionCustomerKey", "TaskResultID", "ImportStatus", "StartDate", "EndDate", "DestinationID",
    "NumberSuccessful", "NumberDuplicated", "NumberErrors", "TotalRows", "ImportType",
]  # fmt: skip


def _three(sandbox: SandboxProcess) -> None:
    for place, key in enumerate(("a", "b", "c")):
        sandbox.control.define(key, Name=f"name {key}", MaxImportFrequency=place, FileSpec=f"{key}.csv")


def _finished(client: Conversation, sandbox: SandboxProcess, key: str) -> str:
    task = client.perform(key).text("ID")
    eventually(
        lambda: [p for p in sandbox.control.performs() if p["task_id"] == task and p["result"]], 60, "the run ended"
    )
    return task


def test_only_what_was_asked_for_comes_back_with_partner_key_and_object_id(
    client: Conversation, sandbox: SandboxProcess
) -> None:
    _three(sandbox)
    reply = client.retrieve("ImportDefinition", ["CustomerKey", "FileSpec"], equals("CustomerKey", "b"))
    assert reply.children("RetrieveResponseMsg") == ["OverallStatus", "RequestID", "Results"]
    assert reply.children("Results") == ["PartnerKey", "ObjectID", "CustomerKey", "FileSpec"]
    assert reply.texts("CustomerKey") == ["b"]
    assert (reply.text("OverallStatus"), reply.texts("FileSpec")) == ("OK", ["b.csv"])


def test_no_match_is_ok_without_results(client: Conversation) -> None:
    reply = client.retrieve("ImportDefinition", ["CustomerKey"], equals("CustomerKey", "unknown"))
    assert (reply.status, reply.text("OverallStatus"), reply.elements("Results")) == (200, "OK", [])


@pytest.mark.parametrize(
    ("operator", "name", "values", "found"),
    [
        ("equals", "Name", ["name a"], ["a"]),
        ("notEquals", "CustomerKey", ["a"], ["b", "c"]),
        ("IN", "CustomerKey", ["a", "c", "x"], ["a", "c"]),
        ("greaterThan", "MaxImportFrequency", ["0"], ["b", "c"]),
        ("greaterThanOrEqual", "MaxImportFrequency", ["1"], ["b", "c"]),
        ("lessThan", "MaxImportFrequency", ["1"], ["a"]),
        ("lessThanOrEqual", "MaxImportFrequency", ["1"], ["a", "b"]),
        ("between", "MaxImportFrequency", ["1", "2"], ["b", "c"]),
        ("isNull", "Description", [], ["a", "c"]),
        ("isNotNull", "Description", [], ["b"]),
        ("like", "Name", ["%a"], ["a"]),
        ("beginsWith", "Name", ["NAME"], ["a", "b", "c"]),
        ("endsWith", "FileSpec", ["b.csv"], ["b"]),
        ("existsInString", "Name", ["me c"], ["c"]),
        ("existsInStringAsAWord", "Name", ["name"], ["a", "b", "c"]),
        ("existsInStringAsAWord", "Name", ["nam"], []),
        ("notExistsInString", "Name", ["me c"], ["a", "b"]),
    ],
)
def test_each_operator_selects(
    client: Conversation, sandbox: SandboxProcess, operator: str, name: str, values: list[str], found: list[str]
) -> None:
    _three(sandbox)
    client.update(thing("ImportDefinition", "<CustomerKey>b</CustomerKey><Description>the second</Description>"))
    reply = client.retrieve("ImportDefinition", ["CustomerKey"], equals(name, *values, operator=operator))
    assert (reply.text("OverallStatus"), reply.texts("CustomerKey")) == ("OK", found)


@pytest.mark.parametrize(
    ("logic", "found"),
    [("AND", ["b"]), ("OR", ["b", "c"])],
)
def test_filters_combine(client: Conversation, sandbox: SandboxProcess, logic: str, found: list[str]) -> None:
    _three(sandbox)
    left = equals("MaxImportFrequency", "0", operator="greaterThan")
    right = equals("Name", "name b")
    reply = client.retrieve("ImportDefinition", ["CustomerKey"], _both(left, logic, right))
    assert reply.texts("CustomerKey") == found


def test_filters_nest_and_take_more_operands(client: Conversation, sandbox: SandboxProcess) -> None:
    _three(sandbox)
    more = f"<AdditionalOperands>{_as('Operand', equals('CustomerKey', 'c'))}</AdditionalOperands>"
    inner = _both(equals("CustomerKey", "a"), "OR", equals("CustomerKey", "b"), more)
    outer = _both(inner, "AND", equals("CustomerKey", "b", operator="notEquals"))
    assert client.retrieve("ImportDefinition", ["CustomerKey"], outer).texts("CustomerKey") == ["a", "c"]


@pytest.mark.parametrize("kind", ["", ' xsi:type="FilterPart"', ' xsi:type="Bogus"'])
def test_a_filter_that_says_no_type_is_an_error_not_the_request_for_everything(
    client: Conversation, sandbox: SandboxProcess, kind: str
) -> None:
    _three(sandbox)
    part = equals("CustomerKey", "a").replace(' xsi:type="SimpleFilterPart"', kind)
    reply = client.retrieve("ImportDefinition", ["CustomerKey"], part)
    assert reply.text("OverallStatus") == "Error: The filter has neither a property nor operands"
    assert reply.texts("CustomerKey") == []


@pytest.mark.parametrize("operator", ["isAnniversary", "contains", "notContains"])
def test_an_operator_that_no_retrieve_takes_is_an_error_text(client: Conversation, operator: str) -> None:
    reply = client.retrieve("ImportDefinition", ["Name"], equals("Name", "x", operator=operator))
    assert reply.text("OverallStatus") == f'Error: "{operator}" is not a valid SimpleOperator for a retrieve Filter.'


def test_in_with_one_value_is_an_error_text_unless_an_option_allows_it(client: Conversation) -> None:
    one = equals("Name", "x", operator="IN")
    refused = "Error: The operator IN on Name needs two values or more; use equals for one"
    assert client.retrieve("ImportDefinition", ["Name"], one).text("OverallStatus") == refused
    assert client.retrieve("ImportDefinition", ["Name"], _both(one, "OR", one)).text("OverallStatus") == refused
    with SandboxProcess(["--single-in", "accept"]) as liberal:
        assert Conversation(liberal).retrieve("ImportDefinition", ["Name"], one).text("OverallStatus") == "OK"


def test_comparisons_of_size_are_an_error_text_where_an_option_says_so() -> None:
    newer = equals("TaskResultID", "7", operator="greaterThan")
    of_a = equals("ImportDefinitionCustomerKey", "a")
    with SandboxProcess(["--comparisons", "refuse"]) as strict:
        client = Conversation(strict)
        reply = client.retrieve("ImportResultsSummary", ["TaskResultID"], _both(of_a, "AND", newer))
        assert "greaterThan" in reply.text("OverallStatus")
        assert client.retrieve("ImportResultsSummary", ["TaskResultID"], of_a).text("OverallStatus") == "OK"


@pytest.mark.parametrize("kind", ["importdefinition", "ImportSummaryResults", "Query", "", "ImportDefinition[x]"])
def test_an_unknown_type_is_named_with_the_text_of_the_live_service(client: Conversation, kind: str) -> None:
    wanted = (
        f"Error: Unable to find a handler for object type: {kind}. Object types are case-sensitive, check spelling."
    )
    reply = client.retrieve(kind, ["Name"])
    assert (reply.status, reply.text("OverallStatus")) == (200, wanted)
    assert reply.elements("Results") == []


def test_properties_that_cannot_be_retrieved_are_named(client: Conversation) -> None:
    wanted = (
        "Error: The Request Property(s) FieldMaps, Filter do not match with the fields of ImportDefinition retrieve"
    )
    assert client.retrieve("ImportDefinition", ["Name", "FieldMaps", "Filter"]).text("OverallStatus") == wanted


def test_a_filter_on_an_unknown_property_is_the_same_error(client: Conversation) -> None:
    reply = client.retrieve("ImportDefinition", ["Name"], equals("Colour", "red"))
    assert "Request Property(s) Colour do not match" in reply.text("OverallStatus")


def test_the_summary_of_a_run_has_the_fields_and_types_of_the_live_service(
    client: Conversation, sandbox: SandboxProcess
) -> None:
    sandbox.control.define("daily", FileSpec="daily.csv", FieldMappingType="InferFromColumnHeadings")
    sandbox.drop("daily.csv", "key\n1\n2\n2\n")
    task = _finished(client, sandbox, "daily")
    reply = client.retrieve("ImportResultsSummary", SUMMARY, equals("TaskResultID", task))
    assert reply.children("Results") == [
        "PartnerKey", "ObjectID", "ImportDefinitionCustomerKey", "StartDate", "EndDate", "DestinationID",
        "NumberSuccessful", "NumberDuplicated", "NumberErrors", "TotalRows", "ImportType", "ImportStatus",
        "TaskResultID",
    ]  # fmt: skip
    assert reply.text("TaskResultID") == task
    assert (reply.text("ImportStatus"), reply.text("ImportType")) == ("Completed", "Data Extensions")
    assert (reply.text("NumberSuccessful"), reply.text("NumberDuplicated"), reply.text("TotalRows")) == ("2", "1", "3")
    assert reply.text("DestinationID") == "daily"


def test_dates_of_a_run_are_texts_in_central_standard_time(client: Conversation, sandbox: SandboxProcess) -> None:
    sandbox.control.define("daily")
    sandbox.control.set_clock("2026-07-01T18:30:05Z")
    task = _finished(client, sandbox, "daily")
    reply = client.retrieve("ImportResultsSummary", ["StartDate"], equals("TaskResultID", task))
    assert reply.text("StartDate").startswith("7/1/2026 12:30:")


def test_runs_are_listed_by_definition_and_by_many_task_ids_at_once(
    client: Conversation, sandbox: SandboxProcess
) -> None:
    _three(sandbox)
    tasks = [client.perform(key).text("ID") for key in ("a", "b", "a", "c")]
    by_key = client.retrieve("ImportResultsSummary", ["TaskResultID"], equals("ImportDefinitionCustomerKey", "a"))
    assert by_key.texts("TaskResultID") == [tasks[0], tasks[2]]
    some = equals("TaskResultID", tasks[1], tasks[3], "999", "x", operator="IN")
    assert client.retrieve("ImportResultsSummary", ["TaskResultID"], some).texts("TaskResultID") == tasks[1::2]
    newer = equals("TaskResultID", tasks[1], operator="greaterThan")
    assert client.retrieve("ImportResultsSummary", ["TaskResultID"], newer).texts("TaskResultID") == tasks[2:]


def test_runs_of_one_definition_that_are_newer_than_a_task_are_found(
    client: Conversation, sandbox: SandboxProcess
) -> None:
    _three(sandbox)
    tasks = [client.perform(key).text("ID") for key in ("a", "b", "a", "c")]
    newer = equals("TaskResultID", tasks[0], operator="greaterThan")
    of_a = equals("ImportDefinitionCustomerKey", "a")
    for left, logic, right, found in (
        (of_a, "AND", newer, [tasks[2]]),
        (newer, "AND", of_a, [tasks[2]]),
        (of_a, "OR", newer, tasks),
        (of_a, "OR", equals("TaskResultID", tasks[3]), [tasks[0], tasks[2], tasks[3]]),
        (of_a, "AND", equals("TaskResultID", tasks[1]), []),
        (of_a, "AND", equals("ImportDefinitionCustomerKey", "a", operator="notEquals"), []),
    ):
        reply = client.retrieve("ImportResultsSummary", ["TaskResultID"], _both(left, logic, right))
        assert (reply.text("OverallStatus"), reply.texts("TaskResultID")) == ("OK", found)


def test_number_restricted_is_in_the_wsdl_but_not_retrievable(client: Conversation) -> None:
    reply = client.retrieve("ImportResultsSummary", ["NumberRestricted"])
    assert "NumberRestricted do not match" in reply.text("OverallStatus")


def test_a_long_answer_comes_in_batches(client: Conversation, sandbox: SandboxProcess) -> None:
    for place in range(5):
        sandbox.control.define(f"k{place}")
    first = client.retrieve("ImportDefinition", ["CustomerKey"], more="<Options><BatchSize>2</BatchSize></Options>")
    second, third = _continue(client, first), _continue(client, _continue(client, first))
    statuses = [reply.text("OverallStatus") for reply in (first, second, third)]
    assert statuses == ["MoreDataAvailable", "MoreDataAvailable", "OK"]
    batches = [reply.texts("CustomerKey") for reply in (first, second, third)]
    assert batches == [["k0", "k1"], ["k2", "k3"], ["k4"]]


def test_a_batch_can_be_asked_for_again(client: Conversation, sandbox: SandboxProcess) -> None:
    for place in range(3):
        sandbox.control.define(f"k{place}")
    first = client.retrieve("ImportDefinition", ["CustomerKey"], more="<Options><BatchSize>2</BatchSize></Options>")
    assert _continue(client, first).texts("CustomerKey") == _continue(client, first).texts("CustomerKey") == ["k2"]


def test_an_unknown_continuation_is_an_error_text(client: Conversation) -> None:
    reply = client.retrieve("ImportDefinition", ["CustomerKey"], more="<ContinueRequest>no</ContinueRequest>")
    assert reply.text("OverallStatus").startswith("Error: ")


def test_a_value_of_the_wrong_type_is_an_error_text(client: Conversation) -> None:
    reply = client.retrieve("ImportDefinition", ["Name"], more="<Options><BatchSize>many</BatchSize></Options>")
    assert reply.text("OverallStatus").startswith("Error: 'many' is not a valid int")


def test_a_business_unit_without_access_is_an_error_text(client: Conversation) -> None:
    reply = client.retrieve("ImportDefinition", ["Name"], more="<ClientIDs><ID>42</ID></ClientIDs>")
    assert reply.text("OverallStatus") == "Error: No access to the account 42."


def _both(left: str, logic: str, right: str, more: str = "") -> str:
    return (
        f'<Filter xsi:type="ComplexFilterPart">{_as("LeftOperand", left)}<LogicalOperator>{logic}</LogicalOperator>'
        f"{_as('RightOperand', right)}{more}</Filter>"
    )


def _as(name: str, part: str) -> str:
    return f"<{name}{part.removeprefix('<Filter').removesuffix('</Filter>')}</{name}>"


def _continue(client: Conversation, reply: Reply) -> Reply:
    return client.retrieve(
        "ImportDefinition", ["CustomerKey"], more=f"<ContinueRequest>{reply.text('RequestID')}</ContinueRequest>"
    )

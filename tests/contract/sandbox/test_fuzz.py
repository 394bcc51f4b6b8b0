"""Whatever arrives at the endpoint, the answer is one of SOAP's and valid; found by structure-aware generation."""

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from sfmc_sandbox.wire.schema import service_schema
from sfmc_sandbox.wire.vocabulary import OPERATIONS
from tests.support.soap_conversation import PARTNER, SOAP_11, SOAP_12, XSI
from tests.support.waiting import eventually
from tests.unit.sfmc_sandbox.in_process import Answer, InProcess

RELAXED = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
TYPES = service_schema().types
NAMES = sorted({member.name for kind in TYPES.values() for member in kind.members} | {"Nonsense", "Filter"})
KINDS = sorted([*TYPES, "NoSuchThing", "x:y:z", ""])
VALUES = sorted({value for allowed in service_schema().enums.values() for value in allowed})

xml_text = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=30)
values = st.one_of(
    xml_text,
    st.sampled_from(
        [*VALUES, "daily", "people", "start", "true", "-1", "99999999999999999999", "1e9", "", "[", "x[y]"]
    ),
    st.integers().map(str),
)


@st.composite
def elements(draw: st.DrawFn, name: st.SearchStrategy[str], depth: int = 4) -> str:
    tag = draw(name)
    attributes = draw(st.sampled_from(["", ' xsi:nil="true"', ' xsi:type="{}"', ' xsi:nil="x"', ' other="1"']))
    attributes = attributes.replace("{}", escape(draw(st.sampled_from(KINDS)), {'"': "&quot;"}))
    if depth == 0 or draw(st.booleans()):
        return f"<{tag}{attributes}>{escape(draw(values))}</{tag}>"
    children = draw(st.lists(elements(st.sampled_from(NAMES), depth - 1), max_size=6))
    return f"<{tag}{attributes}>{''.join(children)}</{tag}>"


@st.composite
def shaped(draw: st.DrawFn, kind: str, depth: int = 4) -> str:
    """Children that fit a type of the schema, in any order, some left out, some twice, with any values."""
    parts = []
    for member in draw(st.lists(st.sampled_from(TYPES[kind].members or [None]), max_size=8)):
        if member is None:
            continue
        inner = member.item or member
        nested = TYPES.get(inner.type)
        if nested is not None and depth and nested.members:
            content = draw(shaped(inner.type, depth - 1))
        else:
            content = escape(draw(values))
        if member.item:
            content = f"<{inner.name}>{content}</{inner.name}>"
        parts.append(f"<{member.name}>{content}</{member.name}>")
    return "".join(parts)


@st.composite
def objects(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(["ImportDefinition", "DataExtension", "List", "FileTransferLocation", "Subscriber"]))
    key = draw(st.sampled_from(["<CustomerKey>daily</CustomerKey>", "", "<CustomerKey>new</CustomerKey>"]))
    return f"<Objects xsi:type={quoteattr(kind)}>{key}{draw(shaped(kind))}</Objects>"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[InProcess]:
    with InProcess() as running:
        running.sandbox.definitions.put(510001234, "daily", {"DestinationObject": {"xsi:type": "List", "ID": 1}})
        yield running
        eventually(lambda: not running.sandbox.runs.unfinished(), 60, "all imports ended")
        broken = [run for run in running.sandbox.runs.all() if "its log" in (run.outcome or {}).get("message", "")]
        assert broken == []


def _send(sandbox: InProcess, action: str, payload: str, soap: str = SOAP_11) -> Answer:
    header = f'<fueloauth xmlns="http://exacttarget.com">{sandbox.token}</fueloauth>'
    body = (
        f'<s:Envelope xmlns:s="{soap}" xmlns:xsi="{XSI}"><s:Header>{header}</s:Header><s:Body>{payload}</s:Body>'
        "</s:Envelope>"
    )
    return sandbox.post(body.encode(), {"SOAPAction": action})


def _is_in_order(answer: Answer) -> bool:
    if answer.status == 400:
        return answer.content == b"Bad Request"
    root = etree.fromstring(answer.content)
    return answer.status in {200, 500} and root.tag.endswith("}Envelope")


@RELAXED
@given(data=st.data(), action=st.sampled_from(sorted(OPERATIONS)))
def test_any_elements_below_any_request_are_answered(sandbox: InProcess, data: st.DataObject, action: str) -> None:
    request = OPERATIONS[action].request
    inner = data.draw(st.lists(elements(st.sampled_from(NAMES)), max_size=5))
    assert _is_in_order(_send(sandbox, action, f'<{request} xmlns="{PARTNER}">{"".join(inner)}</{request}>'))


@RELAXED
@given(thing=objects(), action=st.sampled_from(["Create", "Update", "Delete", "Perform"]))
def test_objects_with_any_properties_are_answered(sandbox: InProcess, thing: str, action: str) -> None:
    if action == "Perform":
        renamed = f"<Definition{thing.removeprefix('<Objects').removesuffix('</Objects>')}</Definition>"
        body = f"<Action>start</Action><Definitions>{renamed}</Definitions>"
    else:
        body = thing
    request = OPERATIONS[action].request
    answer = _send(sandbox, action, f'<{request} xmlns="{PARTNER}">{body}</{request}>')
    assert _is_in_order(answer)
    assert answer.status == 200


@RELAXED
@given(request=shaped("RetrieveRequest"), kind=st.sampled_from(["ImportDefinition", "ImportResultsSummary", "List"]))
def test_any_retrieve_is_answered(sandbox: InProcess, request: str, kind: str) -> None:
    body = f"<RetrieveRequest><ObjectType>{kind}</ObjectType><Properties>ID</Properties>{request}</RetrieveRequest>"
    answer = _send(sandbox, "Retrieve", f'<RetrieveRequestMsg xmlns="{PARTNER}">{body}</RetrieveRequestMsg>')
    assert answer.status == 200


@st.composite
def filters(draw: st.DrawFn, name: str = "Filter", depth: int = 3) -> str:
    if depth and draw(st.booleans()):
        sides = [draw(filters(side, depth - 1)) for side in ("LeftOperand", "RightOperand")]
        logic = f"<LogicalOperator>{draw(st.sampled_from(['AND', 'OR']))}</LogicalOperator>"
        return f'<{name} xsi:type="ComplexFilterPart">{sides[0]}{logic}{sides[1]}</{name}>'
    operator = draw(st.sampled_from(service_schema().enums["SimpleOperators"]))
    property_name = draw(st.sampled_from(["TaskResultID", "ImportDefinitionCustomerKey", "StartDate", "TotalRows"]))
    wanted = "".join(f"<Value>{escape(value)}</Value>" for value in draw(st.lists(values, max_size=3)))
    return (
        f'<{name} xsi:type="SimpleFilterPart"><Property>{property_name}</Property>'
        f"<SimpleOperator>{operator}</SimpleOperator>{wanted}</{name}>"
    )


@RELAXED
@given(condition=filters())
def test_any_filter_is_answered(sandbox: InProcess, condition: str) -> None:
    if not sandbox.sandbox.runs.count():
        start = '<Definition xsi:type="ImportDefinition"><CustomerKey>daily</CustomerKey></Definition>'
        _send(
            sandbox, "Perform",
            f'<PerformRequestMsg xmlns="{PARTNER}"><Action>start</Action><Definitions>{start}</Definitions>'
            "</PerformRequestMsg>",
        )  # fmt: skip
    body = (
        "<RetrieveRequest><ObjectType>ImportResultsSummary</ObjectType><Properties>TaskResultID</Properties>"
        f"{condition}</RetrieveRequest>"
    )
    answer = _send(sandbox, "Retrieve", f'<RetrieveRequestMsg xmlns="{PARTNER}">{body}</RetrieveRequestMsg>')
    assert answer.status == 200


@RELAXED
@given(data=st.data())
def test_envelopes_with_damaged_bytes_are_answered(sandbox: InProcess, data: st.DataObject) -> None:
    soap = data.draw(st.sampled_from([SOAP_11, SOAP_12]))
    whole = bytearray(
        f'<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="{soap}" xmlns:xsi="{XSI}"><s:Header><fueloauth>'
        f'{sandbox.token}</fueloauth></s:Header><s:Body><PerformRequestMsg xmlns="{PARTNER}"><Action>start</Action>'
        '<Definitions><Definition xsi:type="ImportDefinition"><CustomerKey>daily</CustomerKey></Definition>'
        "</Definitions></PerformRequestMsg></s:Body></s:Envelope>".encode()
    )
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(whole) - 1))
        whole[place : place + data.draw(st.integers(0, 12))] = data.draw(st.binary(max_size=8))
    assert _is_in_order(sandbox.post(bytes(whole), {"SOAPAction": "Perform"}))


@RELAXED
@given(body=st.binary(max_size=300), action=xml_text)
def test_any_bytes_with_any_action_are_answered(sandbox: InProcess, body: bytes, action: str) -> None:
    assert _is_in_order(sandbox.post(body, {"SOAPAction": action}))


@RELAXED
@given(body=st.one_of(st.binary(max_size=200), xml_text.map(str.encode)))
def test_any_bytes_at_the_token_endpoint_are_answered(sandbox: InProcess, body: bytes) -> None:
    assert sandbox.post(body, {}, "/v2/token").status in {400, 401}
    assert sandbox.post(body, {"Content-Type": "application/x-www-form-urlencoded"}, "/v2/token").status in {400, 401}

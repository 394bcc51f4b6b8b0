"""What fills the memory is refused at a limit, with an answer that says which limit it is."""

import gzip
import zlib
from collections.abc import Callable, Iterator

import pytest
import requests

from sfmc_sandbox.faults import Faults, RuleError
from tests.support.sandbox_server import SandboxProcess
from tests.support.soap_conversation import Conversation, envelope, equals, start, thing
from tests.support.waiting import eventually

MIB = 1024 * 1024
LIMITS = ["--max-objects", "6", "--max-runs", "3", "--max-rows", "5", "--max-bad-rows", "2", "--max-request", "1"]
HTTP = {"SOAPAction": "Perform", "Content-Type": "text/xml"}
DAILY = "<CustomerKey>daily</CustomerKey>"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with SandboxProcess(LIMITS, data=tmp_path_factory.mktemp("small")) as running:
        yield running


@pytest.fixture
def client(small: SandboxProcess) -> Conversation:
    small.control.reset()
    small.control.define("daily", FileSpec="daily.csv", AllowErrors=True)
    return Conversation(small)


def _ended(client: Conversation) -> dict[str, object]:
    client.perform("daily")
    return eventually(lambda: client.sandbox.control.performs()[-1]["result"], 20, "the run ended") or {}


def test_objects(client: Conversation, small: SandboxProcess) -> None:
    made = [client.create(thing("List", f"<ListName>{number}</ListName>")) for number in range(5)]
    assert [reply.text("OverallStatus") for reply in made] == ["OK", "OK", "OK", "Error", "Error"]
    assert made[-1].text("StatusMessage") == "the sandbox keeps 6 objects at most (--max-objects): delete some first"
    refused = requests.post(f"{small.url}/_sandbox/definitions", json={"CustomerKey": "more"}, timeout=60)
    assert (refused.status_code, "--max-objects" in refused.json()["error"]) == (400, True)
    assert small.control.define("DAILY")["customer_key"] == "DAILY"  # it takes the place of the one that is there
    assert client.delete(thing("List", f"<ID>{made[0].text('NewID')}</ID>")).text("OverallStatus") == "OK"
    assert client.create(thing("List", "<ListName>more</ListName>")).text("OverallStatus") == "OK"


def test_runs(client: Conversation, small: SandboxProcess) -> None:
    replies = [client.perform("daily") for _ in range(4)]
    assert [reply.text("OverallStatus") for reply in replies] == ["OK", "OK", "OK", "Error"]
    assert "keeps 3 runs at most (--max-runs)" in replies[-1].text("StatusMessage")
    assert len(small.control.performs()) == 3
    limits = requests.get(f"{small.url}/_sandbox/limits", timeout=60).json()
    assert (limits["limits"]["runs"], limits["kept"]) == (3, {"objects": 3, "runs": 3})
    small.control.reset()
    small.control.define("daily")
    assert client.perform("daily").text("OverallStatus") == "OK"


def test_rows_of_a_destination(client: Conversation, small: SandboxProcess) -> None:
    small.drop("daily.csv", "key\n1\n2\n3\n")
    assert _ended(client)["NumberSuccessful"] == 3
    small.drop("daily.csv", "key\n3\n4\n5\n")
    assert _ended(client)["NumberSuccessful"] == 3
    small.drop("daily.csv", "key\n6\n")
    ended = _ended(client)
    assert ended["message"] == "the destination would have more than 5 rows (--max-rows)"
    assert [ended[name] for name in ("NumberSuccessful", "NumberDuplicated", "TotalRows")] == [0, 0, 0]
    assert len(client.retrieve("DataExtensionObject[daily]", ["key"]).texts("Value")) == 5


def test_bad_rows_of_a_run(client: Conversation, small: SandboxProcess) -> None:
    small.drop("daily.csv", "key\n" + "too,many\n" * 5 + "a\n")
    ended = _ended(client)
    assert ended["message"] == "1 of 6 rows imported; 3 bad rows are counted and not kept (--max-bad-rows)"
    assert ended["NumberErrors"] == 5
    assert len(small.control.bad_rows(small.control.performs()[-1]["task_id"])) == 2


def test_a_line_without_end(client: Conversation, small: SandboxProcess) -> None:
    small.drop("daily.csv", "key\n" + "x" * (MIB + 1))
    assert _ended(client)["message"] == "the file has a line of more than 1048576 characters"


def test_an_object_of_many_characters(client: Conversation) -> None:
    described = f"{DAILY}<Description>{'x' * 300_000}</Description>"
    reply = client.update(thing("ImportDefinition", described))
    assert reply.text("StatusMessage") == "An object may hold 262144 characters at most."


@pytest.mark.parametrize("path", ["/Service.asmx", "/v2/token", "/v1/requestToken", "/_sandbox/faults"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_request(small: SandboxProcess, path: str, packed: bool) -> None:
    body = b" " * (2 * MIB)
    headers = {"Content-Type": "application/json"} | ({"Content-Encoding": "gzip"} if packed else {})
    content = gzip.compress(body) if packed else body
    reply = requests.post(f"{small.url}{path}", data=content, headers=headers, timeout=60)
    assert reply.status_code == 413
    assert reply.text.startswith("the request is longer than ")


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("GZip", gzip.compress)]
)
def test_a_compressed_request_is_read(client: Conversation, encoding: str, pack: Callable[[bytes], bytes]) -> None:
    body = pack(envelope(start(DAILY), client.header()).encode())
    assert client.post(body, {**HTTP, "Content-Encoding": encoding}).text("OverallStatus") == "OK"


@pytest.mark.parametrize(
    ("encoding", "content", "status"),
    [
        ("br", b"x", 415),
        ("gzip", b"not", 400),
        ("gzip", gzip.compress(b"<a/>" * 9)[:-9], 400),
        ("gzip", b"", 400),
    ],
    ids=["unknown", "not gzip", "cut off", "empty"],  # the bytes of gzip contain the time
)
def test_what_is_not_compressed_as_it_says_is_refused(
    client: Conversation, encoding: str, content: bytes, status: int
) -> None:
    assert client.post(content, {**HTTP, "Content-Encoding": encoding}).status == status


def test_objects_of_one_call(client: Conversation) -> None:
    many = start(DAILY).replace(
        "</Definitions>", f'<Definition xsi:type="ImportDefinition">{DAILY}</Definition>' * 2000
    )
    reply = client.call("Perform", f"{many.removesuffix('</PerformRequestMsg>')}</Definitions></PerformRequestMsg>")
    assert (reply.status, reply.fault) == (500, "A call may have 2000 objects at most.")
    assert client.sandbox.control.performs() == []


def test_conditions_of_a_filter(client: Conversation) -> None:
    one = equals("Name", "x").replace("Filter ", "Operand ").replace("/Filter", "/Operand")
    left = equals("Name", "y").replace("Filter ", "LeftOperand ").replace("/Filter", "/LeftOperand")
    whole = (
        f'<Filter xsi:type="ComplexFilterPart">{left}<LogicalOperator>OR</LogicalOperator>'
        f"<AdditionalOperands>{one * 500}</AdditionalOperands></Filter>"
    )
    reply = client.retrieve("ImportDefinition", ["Name"], whole)
    assert reply.text("OverallStatus") == "Error: The filter has more than 500 conditions"


def test_rules() -> None:
    faults = Faults()
    for _ in range(1000):
        faults.add({"fault": "fault_9"})
    with pytest.raises(RuleError, match="there are 1000 rules already: end some first"):
        faults.add({"fault": "fault_9"})


def test_fields_of_a_data_extension(client: Conversation) -> None:
    fields = "".join(f"<Field><Name>f{number}</Name></Field>" for number in range(1001))
    reply = client.create(thing("DataExtension", f"<Name>wide</Name><Fields>{fields}</Fields>"))
    assert reply.text("StatusMessage").endswith("may have 1000 fields and 50 keys at most")

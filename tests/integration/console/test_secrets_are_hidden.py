"""No page and no answer of the API shows a secret that this process knows, also where a text from outside has it."""

import orjson
import pytest

from sfmc_import.ledger.keys import Keys
from sfmc_import.redaction import KNOWN
from sfmc_import.request import FileInfo
from sfmc_transport import dead_letters as letters
from tests.support.console import World

SECRET = "kept-secret-of-this-test"


@pytest.fixture
def request_id(world: World) -> str:
    """A request, an event and a dead letter whose texts have the secret."""
    KNOWN.learn(SECRET)
    request_id = world.submit()
    keys, client = Keys(), world.access.client
    error = orjson.dumps({"code": "9", "text": f"login {SECRET} failed", "at": 1772344800000})
    client.hset(keys.request(request_id), mapping={"error": error, "wait": "backoff"})
    file = FileInfo(location="/in", name="a.csv", version="1")
    detail = {"reason": "no_match", "text": f"{SECRET} no route", "customer_keys": []}
    world.client.report("unrouted", file=file, detail=detail)
    body, once = f"body {SECRET}".encode(), ("once", 60)
    letters.add(world.access.broker, world.access.broker_keys, body, queue="q", detail=SECRET, once=once)
    return request_id


def test_no_page_of_the_console_has_it(world: World, request_id: str) -> None:
    person = world.person("viewer")
    (letter,) = letters.page(world.access.broker, world.access.broker_keys, None, 10)
    pages = [person.see(path) for path in (f"/request?id={request_id}", "/dead-letters", f"/dead-letters/{letter.id}")]

    assert [page.status_code for page in pages] == [200] * 3
    assert all(SECRET not in page.text for page in pages)
    assert all("[redacted]" in page.text for page in pages)


def test_no_answer_of_the_api_has_it(world: World, request_id: str) -> None:
    headers = {"authorization": f"Bearer {world.tokens['viewer']}"}
    (letter,) = letters.page(world.access.broker, world.access.broker_keys, None, 10)
    lists = [f"/v1/{name}" for name in ("dead-letters", "events", "events/newest", "unmatched", "status")]
    paths = [f"/v1/requests/{request_id}", f"/v1/dead-letters/{letter.id}", *lists]
    answers = [world.http.request("GET", path, headers=headers) for path in paths]

    assert [answer.status_code for answer in answers] == [200] * 7
    assert all(SECRET not in answer.text for answer in answers)
    assert all("[redacted]" in answer.text for answer in answers)

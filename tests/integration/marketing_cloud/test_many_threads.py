"""One adapter for all threads of a process: each call gets its own answer, and tokens are asked for once."""

import json
from concurrent.futures import ThreadPoolExecutor

from lxml import etree

from sfmc_import.faults import Rejected
from sfmc_import.marketing_cloud import PlainSecret
from tests.integration.marketing_cloud.misbehaving import MisbehavingServer
from tests.support.fake_soap_replies import fault, found, performed, row

EVER = float("inf")


def mirror(connection):
    """Answer each call with what it asked for: task 17 for key-17, an error for every seventh."""
    while request := connection.read():
        head, _, body = request.partition(b"\r\n\r\n")
        if b"/v2/token" in head.partition(b"\r\n")[0]:
            mid = json.loads(body)["account_id"]
            connection.answer(json.dumps({"access_token": f"token-of-{mid}", "expires_in": 1000}).encode())
        else:
            connection.answer(*_answer(etree.fromstring(body)))


def _answer(envelope):
    key = envelope.findtext(".//{*}CustomerKey") or envelope.findtext(".//{*}Value")
    number = int(key.removeprefix("key-"))
    if envelope.findtext(".//{*}fueloauth") != f"token-of-{number % 3}":
        return fault(None, "Login Failed", "q0:Security"), "500 Oops"
    if envelope.find(".//{*}PerformRequestMsg") is None:
        return (found(row(CustomerKey=key, MaxImportFrequency=number)),)
    if number % 7 == 0:
        return fault(5, f"no {key}", "soap:Client"), "500 Oops"
    return (performed(str(number)),)


def test_each_of_many_threads_gets_its_own_answers(adapter):
    numbers = range(1, 301)
    with MisbehavingServer(mirror) as server, ThreadPoolExecutor(24) as threads:
        service = adapter(
            server.url, auth_url=server.url, client_id="c", client_secret=PlainSecret("s"), read_timeout=20
        )
        starts = threads.map(lambda n: service.start(str(n % 3), f"key-{n}", not_after=EVER), numbers)
        queries = threads.map(lambda n: service.definition(str(n % 3), f"key-{n}"), numbers)
        for number, start, definition in zip(numbers, starts, queries, strict=True):
            if number % 7:
                assert start.task_id == str(number)
            else:
                assert start == Rejected("5", f"no key-{number}")
            assert (definition.customer_key, definition.max_import_frequency) == (f"key-{number}", number)

        asked = [request for request in server.requests if b"/v2/token" in request.partition(b"\r\n")[0]]
        assert len(asked) == 3

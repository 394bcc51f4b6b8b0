"""Queries on connections that fail: asked again for a while, never ambiguous, and connections are kept."""

import subprocess
import sys

import pytest
import structlog.testing

from sfmc_import.faults import NotApplied, Rejected
from sfmc_import.runs import FileLocation
from tests.integration.marketing_cloud.conftest import BRIEF
from tests.integration.marketing_cloud.misbehaving import CERTIFICATE, MisbehavingServer, refused_address
from tests.support.fake_soap_replies import fault, found, row

MID = "510001234"
ORDERS = found(row(ObjectID=None, CustomerKey="orders", Name="Orders", MaxImportFrequency=3))


def answering(*contents, status="200 OK", **headers):
    """Answer the requests of one connection with these contents, the last for ever."""

    def behave(connection):
        left = list(contents)
        while connection.read():
            connection.answer(left.pop(0) if len(left) > 1 else left[0], status, **headers)

    return behave


def reset(connection):
    connection.read()
    connection.reset()


def test_a_query_is_asked_again_after_a_reset_and_each_try_is_reported(adapter):
    with MisbehavingServer(reset, reset, answering(ORDERS)) as server, structlog.testing.capture_logs() as logged:
        definition = adapter(server.url).definition(MID, "orders")

    assert definition.max_import_frequency == 3
    assert [(line["event"], line["code"]) for line in logged] == [("query_attempt_failed", "reset")] * 2


KEEPS_FAILING = {
    "reset": (reset, "reset"),
    "silence": (lambda connection: connection.wait_for_the_end(), "read_timeout"),
    "a page": (answering(b"<html>"), "unreadable_reply"),
    "502": (answering(b"", status="502 Bad Gateway"), "http_status"),
    "a redirect": (answering(b"", status="302 Found", Location="http://localhost:9/"), "http_status"),
    "fault 2": (answering(fault(2, "Exception occurred during [Retrieve]"), status="500 Oops"), "2"),
    "a database timeout": (answering(found(status="Error: Timeout expired.  The timeout period elapsed")), "2"),
    "a number in words": (answering(found(row(CustomerKey="k", MaxImportFrequency="often"))), "unreadable_reply"),
    "a row without a key": (answering(found(row(Name="no key"))), "unreadable_reply"),
}


@pytest.mark.parametrize("name", KEEPS_FAILING)
def test_a_query_that_keeps_failing_is_not_applied(adapter, name):
    behaviour, code = KEEPS_FAILING[name]
    with MisbehavingServer(behaviour) as server:
        verdict = adapter(server.url, **(BRIEF if name == "silence" else {})).definition(MID, "orders")

    assert isinstance(verdict, NotApplied)
    assert verdict.code == code


def test_the_row_of_another_definition_is_no_answer(adapter):
    other = found(row(ObjectID="11", CustomerKey="contacts"))
    with MisbehavingServer(answering(other)) as server:
        by_key = adapter(server.url).definition(MID, "orders")
        by_object = adapter(server.url).definition_of_object(MID, "22")

    for verdict in (by_key, by_object):
        assert (type(verdict), verdict.code) == (NotApplied, "other_definition")
        assert "contacts" in verdict.text


@pytest.mark.parametrize("spelled", ["ORDERS", "orders ", "Órders"])
def test_another_spelling_of_the_key_is_the_definition_that_was_asked_for(adapter, spelled):
    with MisbehavingServer(answering(found(row(ObjectID="11", CustomerKey=spelled)))) as server:
        assert adapter(server.url).definition(MID, "orders").customer_key == spelled


def test_a_refused_connection_says_where(adapter):
    url = refused_address()

    verdict = adapter(url).runs_of(MID, "orders")

    assert verdict.code == "refused"
    assert url.rstrip("/") in verdict.text


def test_a_certificate_that_is_not_trusted_says_so(adapter):
    with MisbehavingServer(answering(ORDERS), tls=True) as server:
        verdict = adapter(server.url).definition(MID, "orders")

    assert (verdict.code, server.requests) == ("tls", [])
    assert "certificate" in verdict.text


def test_a_query_goes_over_tls_with_a_bundle_of_ones_own(adapter):
    with MisbehavingServer(answering(ORDERS), tls=True) as server:
        assert adapter(server.url, verify=str(CERTIFICATE)).definition(MID, "orders").name == "Orders"


def test_an_account_wide_failure_is_not_tried_again(adapter):
    with MisbehavingServer(answering(b"", status="429 Slow Down", Retry_After="60")) as server:
        verdict = adapter(server.url).definition(MID, "orders")

    assert (verdict.account_wide, verdict.retry_after, len(server.requests)) == (True, 60, 1)


def test_a_refusal_is_not_tried_again(adapter):
    error = "Error: The Request Property(s) X do not match with the fields of ImportDefinition retrieve"
    with MisbehavingServer(answering(found(status=error))) as server:
        verdict = adapter(server.url).runs_of(MID, "orders")

    assert isinstance(verdict, Rejected)
    assert len(server.requests) == 1


def test_queries_share_a_connection(adapter):
    with MisbehavingServer(answering(ORDERS)) as server:
        service = adapter(server.url)
        for _ in range(5):
            service.definition(MID, "orders")

        assert (server.connections, len(server.requests)) == (1, 5)


def test_a_connection_that_was_closed_while_idle_costs_nothing(adapter):
    def once(connection):
        connection.read()
        connection.answer(ORDERS)

    with MisbehavingServer(once) as server:
        service = adapter(server.url)
        names = [service.definition(MID, "orders").name for _ in range(3)]

    assert names == ["Orders"] * 3


def test_pages_that_never_end_are_given_up(adapter):
    with MisbehavingServer(answering(found(status="MoreDataAvailable"))) as server:
        verdict = adapter(server.url).definitions(MID)

    assert isinstance(verdict, NotApplied)
    assert verdict.code == "endless_pages"


def test_a_row_without_a_task_id_is_not_a_run_yet(adapter):
    rows = found(row(TaskResultID=None, ImportStatus="New"), row(TaskResultID=7, ImportStatus="New"))
    with MisbehavingServer(answering(rows)) as server:
        assert [run.task_id for run in adapter(server.url).runs_of(MID, "orders")] == ["7"]


def test_a_run_of_another_definition_is_no_answer(adapter):
    keys = (("contacts", 6), ("ORDERS ", 7))
    rows = found(*(row(ImportDefinitionCustomerKey=key, TaskResultID=n, ImportStatus="New") for key, n in keys))
    with MisbehavingServer(answering(rows)) as server:
        assert [run.task_id for run in adapter(server.url).runs_of(MID, "orders")] == ["7"]


def test_of_keys_that_differ_in_case_the_exact_one_is_taken(adapter):
    rows = found(row(CustomerKey="Orders"), row(CustomerKey="orders", Name="mine"))
    with MisbehavingServer(answering(rows)) as server:
        assert adapter(server.url).definition(MID, "orders").name == "mine"


FORKING = """
import os, sys
from sfmc_import.marketing_cloud import MarketingCloudConfig, PlainSecret, connect
service = connect(MarketingCloudConfig(soap_url=sys.argv[1], username="u", password=PlainSecret("p")))
assert service.definition("1", "orders").name == "Orders"
child = os.fork()
assert service.definition("1", "orders").name == "Orders"
if child:
    assert os.waitpid(child, 0)[1] == 0
"""


def test_a_forked_process_does_not_write_into_its_parents_connection():
    with MisbehavingServer(answering(ORDERS)) as server:
        subprocess.run([sys.executable, "-c", FORKING, server.url], check=True, timeout=60)

    assert (server.connections, len(server.requests)) == (2, 3)


PLAIN = found(row(ObjectID="o", CustomerKey="orders"))
REFUSED = found(
    status="Error: The Request Property(s) DestinationObject.ID, DestinationObject.ObjectID do not match with the"
    " fields of ImportDefinition retrieve"
)


def test_properties_that_the_service_refuses_are_not_asked_for_again(adapter):
    asked = []

    def behave(connection):
        while request := connection.read():
            asked.append(b"DestinationObject" in request)
            connection.answer(REFUSED if asked[-1] else PLAIN)

    with MisbehavingServer(behave) as server, structlog.testing.capture_logs() as logged:
        service = adapter(server.url)
        found_ones = [service.definition(MID, "orders"), service.definition_of_object(MID, "o")]

    assert [(each.customer_key, each.destination) for each in found_ones] == [("orders", None)] * 2
    assert asked.count(False) == 2
    assert asked[-1] is False
    assert [line["event"] for line in logged].count("definition_properties_refused") == 1


def definition_with(what, object_id):
    return found(f"<CustomerKey>orders</CustomerKey><{what}><ObjectID>{object_id}</ObjectID></{what}>")


def test_another_file_location_or_data_extension_than_the_one_asked_for_is_no_answer(adapter):
    other = found(row(ObjectID="99", CustomerKey="foreign"))
    with MisbehavingServer(answering(definition_with("RetrieveFileTransferLocation", "11"), other)) as server:
        location = adapter(server.url).location(MID, "orders")
    with MisbehavingServer(answering(definition_with("DestinationObject", "12"), other)) as server:
        description = adapter(server.url).description(MID, "orders")

    assert (type(location), location.code) == (NotApplied, "other_file_location")
    assert (type(description), description.code) == (NotApplied, "other_data_extension")
    assert "foreign" in location.text


def test_of_several_rows_the_one_with_the_object_id_that_was_asked_for_counts(adapter):
    rows = found(row(ObjectID="99", CustomerKey="foreign"), row(ObjectID="AB", CustomerKey="partner"))
    with MisbehavingServer(answering(definition_with("RetrieveFileTransferLocation", "ab"), rows)) as server:
        assert adapter(server.url).location(MID, "orders") == FileLocation("partner", "ab")


def test_how_another_definition_reads_its_file_is_no_answer(adapter):
    rows = found(row(CustomerKey="contacts", FileType="TAB"))
    with MisbehavingServer(answering(rows)) as server:
        verdict = adapter(server.url).description(MID, "orders")

    assert (type(verdict), verdict.code) == (NotApplied, "other_definition")

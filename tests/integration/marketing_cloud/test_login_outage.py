"""A login that is refused is tried by one request of its business unit at a time, whatever the others want."""

import pytest

from sfmc_import.faults import NotApplied
from sfmc_import.marketing_cloud import PlainSecret
from tests.integration.marketing_cloud.misbehaving import MisbehavingServer
from tests.support.fake_soap_replies import fault

EVER = float("inf")
REQUESTS = 50


def refusing(content: bytes, status: str):
    def behave(connection):
        while connection.read():
            connection.answer(content, status)

    return behave


def outcomes(service, mid: str) -> set[tuple[str, bool]]:
    faults = [service.start(mid, f"orders-{number}", not_after=EVER) for number in range(REQUESTS)]
    faults += [service.definition(mid, f"orders-{number}") for number in range(REQUESTS)]
    assert all(isinstance(each, NotApplied) and each.retry_after > 0 for each in faults)
    return {(each.code, each.account_wide) for each in faults}


def test_a_wrong_password_is_not_tried_by_each_request(adapter):
    """Each try counts towards the number after which Marketing Cloud locks the user."""
    with MisbehavingServer(refusing(fault(12, "Bad username or password"), "500 Oops")) as server:
        assert outcomes(adapter(server.url), "") == {("12", True)}
        assert len(server.requests) == 1


def test_a_refused_client_is_not_tried_by_each_request_and_another_business_unit_is_asked_for_itself(adapter):
    with MisbehavingServer(refusing(b'{"error": "invalid_client"}', "401 Unauthorized")) as server:
        service = adapter(server.url, auth_url=server.url, client_id="c", client_secret=PlainSecret("s"))

        assert outcomes(service, "") == {("login_failed", True)}
        assert len(server.requests) == 1
        # Once more without a business unit: whether the login works in any says whose refusal it is.
        assert outcomes(service, "1") == {("login_failed", True)}
        assert len(server.requests) == 3
        assert outcomes(service, "2") == {("login_failed", True)}
        assert len(server.requests) == 4


@pytest.mark.parametrize("status", ["500 Oops", "502 Bad Gateway", "503 Busy", "504 Late", "429 Slow Down"])
def test_a_token_endpoint_that_fails_is_asked_once_for_all_requests_of_all_business_units(adapter, status):
    with MisbehavingServer(refusing(b"", status)) as server:
        service = adapter(server.url, auth_url=server.url, client_id="c", client_secret=PlainSecret("s"))
        found = {code: wide for mid in ("1", "2", "3") for code, wide in outcomes(service, mid)}

        assert set(found.values()) == {True}
        assert len(server.requests) == 1

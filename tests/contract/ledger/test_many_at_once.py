"""Many requests are recorded in one round trip, each as if it came alone."""

from dataclasses import replace

from sfmc_import.request import IdTakenError
from tests.contract.ledger.scenario import Scenario, request


def test_each_is_recorded_once_in_order_and_the_second_time_is_not_new(scenario: Scenario):
    requests = [request(f"r{number}") for number in range(3)]

    assert scenario.ledger.accept_many(requests) == [True, True, True]
    assert scenario.ledger.accept_many([*requests, request("r4")]) == [False, False, False, True]
    assert [scenario.ledger.load(each.request_id) for each in requests] == requests


def test_an_id_with_other_content_costs_no_other(scenario: Scenario):
    taken = replace(request("r1"), content="one")
    scenario.accept(taken)

    answers = scenario.ledger.accept_many([request("r0"), replace(taken, content="other"), request("r2")])

    assert (answers[0], type(answers[1]), answers[2]) == (True, IdTakenError, True)
    assert scenario.ledger.accept_many([]) == []

"""Expectations of the policy file, with real processes and the sandbox."""

from collections.abc import Iterator

import pytest

from tests.support.processes import RunningSystem, running_system
from tests.support.sources import use_policy

POLICY = """
[[definition]]
customer_key = "orders"
min_rows = 2
max_failed_share = 0.5
min_share_of_last_run = 0.5
"""


@pytest.fixture(scope="module")
def system() -> Iterator[RunningSystem]:
    with running_system() as made:
        policy = use_policy(made, POLICY)
        made.worker(**policy)
        made.beat(**policy)
        yield made


@pytest.mark.nightly
def test_a_run_with_too_few_rows_is_suspicious_for_all_who_look(system: RunningSystem) -> None:
    system.sandbox.control.define("orders", FileSpec="orders.csv")
    codes = []
    for rows in (8, 3, 3):
        system.sandbox.drop("orders.csv", "Key,Value\n" + "".join(f"{number},x\n" for number in range(rows)))
        done = system.run("start", "orders", "--wait", "--force", "--reason", "a test")
        codes.append(done.returncode)
        if rows == 3 and len(codes) == 2:
            assert "completed, but not as expected (completed_suspicious)" in done.stdout
    [event] = [each for each in system.events() if each["type"] == "sfmc.import.completed_suspicious"]

    # The third run is compared with the second.
    assert codes == [0, 1, 0]
    assert event["data"]["expected"] == {"min_share_of_last_run": 0.5}
    assert event["data"]["found"] == {"share_of_last_run": 0.375}
    assert system.run("follow", event["data"]["task_id"]).returncode == 1
    assert "expected min_share_of_last_run 0.5" in system.run("events", "--type", "completed_suspicious").stdout
    shown = system.run("show", event["data"]["request_id"]).stdout
    assert "completed_suspicious" in shown

"""What `doctor` says about clocks that differ from that of Marketing Cloud, and what can come of it."""

import pytest

from sfmc_import.cli.doctor_clocks import check_machine, of_redis
from sfmc_import.clocks import Clocks


@pytest.mark.parametrize(
    ("ahead", "level", "text"),
    [
        (60.0, "ok", "the clocks of Redis and Marketing Cloud agree"),
        (-61.0, "warn", "the clock of Redis is 61 s behind that of Marketing Cloud"),
        (300.0, "warn", "the clock of Redis is 300 s ahead of that of Marketing Cloud"),
        (301.0, "fail", "the clock of Redis is 301 s ahead of that of Marketing Cloud: the dates of runs prove little"),
    ],
)
def test_a_clock_of_redis_that_is_wrong_is_a_warning_and_beyond_five_minutes_a_failure(
    ahead: float, level: str, text: str
) -> None:
    found = of_redis(ahead)

    assert (found.level, found.check) == (level, "clock")
    assert found.text.startswith(text)
    assert bool(found.fix) == (level != "ok")


@pytest.mark.parametrize(("ahead", "said"), [(60.0, []), (61.0, ["61 s ahead of"]), (-7200.0, ["7200 s behind"])])
def test_a_clock_of_this_machine_that_is_wrong_is_a_warning(ahead: float, said: list[str]) -> None:
    clocks = Clocks(lambda: 0.0, lambda: 1e9 + ahead)
    clocks.note_service(1e9 - 0.5, 0.0)

    assert [(each.level, each.text) for each in check_machine(clocks)] == [
        ("warn", f"the clock of this machine is {text} that of Marketing Cloud") for text in said
    ]


def test_of_this_machine_nothing_is_said_where_no_answer_named_a_time() -> None:
    assert list(check_machine(Clocks(lambda: 0.0, lambda: 1e9))) == []

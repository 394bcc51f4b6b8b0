"""The unit tests detect wrong changes to the pure rules; `python -m tests.support.mutants` tries all of them."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.mutants.rules import is_detected
from tests.support.mutants.wrong_rules import RULES

PARTS = 432
"""The test command tries one part; the others run nightly, and all by `python -m tests.support.mutants`."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.nightly) for part in range(1, PARTS))])
def test_a_wrong_rule_is_detected(record_property, part):
    tried = range(part, len(RULES), PARTS)
    with ThreadPoolExecutor(2) as pool:
        detected = list(pool.map(is_detected, tried))
    record_property("cases", len(tried))

    assert [RULES[number] for number, seen in zip(tried, detected, strict=True) if not seen] == []

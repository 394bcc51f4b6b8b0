"""The unit tests detect wrong changes to the pure rules; `python -m tests.support.mutants` tries all of them."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.mutants.rules import is_detected
from tests.support.mutants.wrong_rules import RULES


@pytest.mark.timeout(600)
def test_a_wrong_rule_is_detected(record_property):
    tried = range(0, len(RULES), 6)
    with ThreadPoolExecutor(2) as pool:
        detected = list(pool.map(is_detected, tried))
    record_property("cases", len(tried))

    assert [RULES[number] for number, seen in zip(tried, detected, strict=True) if not seen] == []

"""The generated pages hold what the code says."""

from sfmc_harness import pages
from sfmc_import.states import TRANSITIONS


def test_no_generated_page_is_out_of_date() -> None:
    assert pages.outdated() == []


def test_the_page_of_states_names_every_step() -> None:
    page = pages.render_states()

    assert [step for step in TRANSITIONS if f"| {step.source} | {step.target} |" not in page] == []

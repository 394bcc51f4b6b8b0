"""The table of the life of a request: what code, scripts, documentation and schema read."""

import json
from pathlib import Path

import pytest

from sfmc_import.states import NEW, NOT_STARTED, RUN_ENDS, TERMINAL, TRANSITIONS, UNFINISHED, event_of, to_lua_table

ROOT = Path(__file__).parents[3]


def test_every_state_can_be_reached_and_every_unfinished_one_can_be_left():
    reached = {NEW}
    while True:
        more = {step.target for step in TRANSITIONS if step.source in reached} - reached
        if not more:
            break
        reached |= more

    assert reached == {NEW, *UNFINISHED, *TERMINAL, NOT_STARTED}
    assert {step.source for step in TRANSITIONS} >= set(UNFINISHED)


def test_from_every_unfinished_state_an_end_can_be_reached():
    ending = set(TERMINAL)
    for _ in UNFINISHED:
        ending |= {step.source for step in TRANSITIONS if step.target in ending}

    assert ending >= set(UNFINISHED)


def test_an_end_is_left_only_for_a_run_that_is_followed_or_by_an_operator_who_says_that_there_was_none():
    ends = set(TERMINAL) - {"duplicate"}
    assert {step.target for step in TRANSITIONS if step.source in ends} == {"started", NOT_STARTED}
    assert {step.target for step in TRANSITIONS if step.source == NOT_STARTED} == {"started"}
    assert {step.source for step in TRANSITIONS if step.source in ends} == {
        "start_unknown",
        "gave_up",
        "follow_timed_out",
    }


def test_a_duplicate_is_taken_up_as_if_it_had_just_come():
    assert {step.target for step in TRANSITIONS if step.source == "duplicate"} == {"accepted", "started"}


def test_a_step_stands_in_the_table_once():
    pairs = [(step.source, step.target) for step in TRANSITIONS]

    assert len(pairs) == len(set(pairs))
    assert all(step.why for step in TRANSITIONS)


def test_a_run_ends_only_after_it_started():
    assert {step.source for step in TRANSITIONS if step.target in RUN_ENDS} == {"started"}


def test_a_step_names_its_event_and_a_step_that_does_not_exist_has_none():
    assert event_of("started", "started") == "progressed"
    assert event_of("accepted", "starting") == "starting"
    with pytest.raises(KeyError):
        event_of("rejected", "starting")


def test_the_scripts_read_the_same_table():
    rows = to_lua_table().split()

    assert rows == [f"{step.source}>{step.target}={step.event}" for step in TRANSITIONS]


def test_the_published_schema_knows_the_event_of_every_step():
    known = json.loads((ROOT / "ops/events/events.schema.json").read_text())["$defs"]

    assert {step.event for step in TRANSITIONS} <= set(known)

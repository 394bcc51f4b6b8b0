"""What must hold of every request, whatever happened: checks events, state and what Marketing Cloud applied."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from sfmc_import.states import NEW, RUN_ENDS, SETTLED_EVENT, TERMINAL, TRANSITIONS, UNSTARTED
from tests.support.fake_marketing_cloud import Perform
from tests.support.ledger_world import World

STEPS = {(step.source, step.event, step.target) for step in TRANSITIONS}


def by_request(events: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        found[event["data"]["request_id"]].append(event)
    return found


def name_of(event: dict[str, Any]) -> str:
    return event["type"].removeprefix("sfmc.import.")


def walk(events: Sequence[dict[str, Any]]) -> list[str]:
    """The states that the events of one request show, each an allowed transition."""
    states = [NEW]
    for number, event in enumerate(events, 1):
        name = name_of(event)
        assert event["id"] == f"{event['data']['request_id']}/{number}/{name}"
        if name == SETTLED_EVENT:
            continue
        target = "started" if name == "progressed" else name
        assert (states[-1], name, target) in STEPS, f"{states[-1]} has no step {name}"
        states.append(target)
    return states


def last_step(events: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The last event that is a step: that a request is settled changes no state."""
    return next(event for event in reversed(events) if name_of(event) != SETTLED_EVENT)


def final(states: Sequence[str]) -> list[str]:
    """The states without each `duplicate` that was taken up: that was no end."""
    return [now for now, then in zip_longest(states, states[1:]) if (now, then) != ("duplicate", "accepted")]


def stands_for(request_id: str, events: Mapping[str, Sequence[dict[str, Any]]]) -> str:
    """Say whose fate counts for a request: its own, or that of the one that it repeated or that was taken up for it."""
    taken_up = {each["data"].get("instead_of"): name for name, own in events.items() for each in own}
    while True:
        last = last_step(events[request_id])
        if name_of(last) == "duplicate":
            request_id = last["data"]["held_by"]
        elif name_of(last) in UNSTARTED and request_id in taken_up:
            request_id = taken_up[request_id]
        else:
            return request_id


def check_finished(world: World, ids: Sequence[str]) -> None:
    """Every request has ended once, its state is the one of its last event, and nothing is left over."""
    events = by_request(world.events())
    assert set(ids) <= set(events)
    for request_id in ids:
        states = walk(events[request_id])
        assert [state for state in final(states) if state in TERMINAL] == states[-1:], (request_id, states)
        assert world.state(request_id) == states[-1]
    assert world.due() == {}
    assert world.endless_keys() == []


def check_invariants(world: World, request_id: str, performs: Sequence[Perform]) -> None:
    """The last event of a request agrees with what happened at Marketing Cloud."""
    last = last_step(by_request(world.events())[request_id])
    tasks = {perform.task_id for perform in performs}
    outcome, task = name_of(last), last["data"].get("task_id")
    if outcome in RUN_ENDS:
        assert task in tasks, f"{outcome} of {task}, but {tasks} were started"
    elif outcome != "start_unknown":
        assert not tasks, f"{outcome}, but {tasks} were started"

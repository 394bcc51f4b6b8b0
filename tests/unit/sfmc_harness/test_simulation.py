"""The parts of the simulation: plans and their numbers, what is left of one that fails, actors, the model, events."""

import pytest

from sfmc_harness.simulation.chance import below, unit
from sfmc_harness.simulation.cloud import Cloud
from sfmc_harness.simulation.crew import Actor, Crew, KilledError
from sfmc_harness.simulation.drawing import draw
from sfmc_harness.simulation.history import History, ViolationError
from sfmc_harness.simulation.messages import Message, Queue
from sfmc_harness.simulation.plan import DefinitionPlan, Plan, from_json, to_json
from sfmc_harness.simulation.shrink import shrink

DAILY = DefinitionPlan(key="dated", file_spec="dated_%%YEAR%%%%MONTH%%%%DAY%%.csv")
MIDNIGHT = 1_800_079_200_000
DAY = 86_400_000


def test_a_seed_gives_the_same_plan_and_another_seed_another_one():
    assert draw(1, 60) == draw(1, 60)
    assert draw(1, 60) != draw(2, 60)


def test_a_plan_is_the_same_after_it_was_written_and_read():
    for seed in range(50):
        assert from_json(to_json(draw(seed, 60))) == draw(seed, 60)


def test_numbers_depend_on_their_place_and_are_spread():
    numbers = [unit(1, place) for place in range(1000)]

    assert numbers == [unit(1, place) for place in range(1000)]
    assert len(set(numbers)) == 1000
    assert 0.45 < sum(numbers) / 1000 < 0.55
    assert {below(3, 1, place) for place in range(50)} == {0, 1, 2}


def test_a_plan_that_fails_is_shortened_to_what_the_failure_needs():
    plan = next(plan for plan in (draw(seed, 60) for seed in range(50)) if len(plan.faults) > 5)
    needed = plan.faults[2]

    short = shrink(plan, lambda smaller: needed in smaller.faults, tries=300)

    assert short.faults == (needed,)
    assert short.happenings == ()
    assert short.workers == 1


def test_a_plan_is_shortened_for_no_longer_than_allowed():
    asked = []

    shrink(draw(3, 60), lambda smaller: bool(asked.append(smaller)), tries=5)

    assert len(asked) == 5


def test_one_actor_moves_at_a_time_and_a_killed_one_ends_where_it_stands():
    crew, said = Crew(), []

    def body(name: str) -> None:
        said.append(f"{name} begins")
        crew.pause()
        said.append(f"{name} ends")

    first, second, third = (Actor("host") for _ in range(3))
    for actor, name in ((first, "first"), (second, "second"), (third, "third")):
        crew.begin(actor, lambda name=name: body(name))
    for actor in (first, second, first):
        crew.turn(actor)
    crew.kill(second)
    crew.kill(third)
    crew.close()

    assert said == ["first begins", "second begins", "first ends"]
    assert first.error is None
    assert isinstance(second.error, KilledError)
    assert isinstance(third.error, KilledError)


def test_an_actor_that_pauses_hands_its_turn_to_the_one_that_is_chosen():
    crew, said = Crew(), []

    def body(name: str) -> None:
        for number in range(3):
            said.append(f"{name} {number}")
            crew.pause()

    first, second = Actor("host"), Actor("host")
    crew.begin(first, lambda: body("first"))
    crew.begin(second, lambda: body("second"))
    following = iter([first, None, second, second, first])
    last = [crew.turn(actor, lambda _: next(following)) for actor in (first, first)]
    ended = [actor.has_ended for actor in (first, second)]
    crew.kill(second)
    crew.close()

    assert said == ["first 0", "first 1", "first 2", "second 0", "second 1"]
    assert last == [first, first]
    assert ended == [True, False]


def test_a_message_that_is_the_only_record_of_its_request_is_never_lost():
    queue = Queue()
    queue.put(Message(kind="wake", ids=("r1",)))
    queue.put(Message(kind="start", is_foreign=True))
    queue.lose_own()

    assert [message.kind for message in (queue.take(0, lambda _: 0), queue.take(0, lambda _: 0)) if message] == [
        "start"
    ]


def test_a_run_reads_the_file_of_its_day_or_else_the_nearest():
    cloud = Cloud(Plan(seed=1, steps=60, definitions=(DAILY,)))
    cloud.arrive(cloud.name_on(DAILY.file_spec, MIDNIGHT - 1))

    assert cloud.apply(MIDNIGHT, "dated", "r1").read == "dated_20270115.csv"
    cloud.arrive(cloud.name_on(DAILY.file_spec, MIDNIGHT))
    assert cloud.apply(MIDNIGHT - 1, "dated", "r1").read == "dated_20270115.csv"
    assert cloud.apply(MIDNIGHT, "dated", "r1").read == "dated_20270116.csv"
    assert cloud.apply(MIDNIGHT + 9 * DAY, "dated", "r1").read is None


def event(number: int, name: str) -> dict:
    return {"id": f"r1/{number}/{name}", "type": f"sfmc.import.{name}", "data": {"request_id": "r1"}}


@pytest.mark.parametrize("second", [event(2, "started"), event(3, "starting"), event(2, "accepted")])
def test_an_event_that_cannot_follow_is_a_violation(second):
    history = History()
    history.add(event(1, "accepted"), 0)

    with pytest.raises(ViolationError, match="impossible event"):
        history.add(second, 0)

import threading
import tracemalloc

from tests.unit.sfmc_sandbox.importing.world import MID, World, counts


def people(count, start=0):
    return [f"p{number}@example.com,Person {number},{number % 90}" for number in range(start, start + count)]


def test_every_row_of_a_large_file_is_there_and_counted(world):
    world.people()
    lines = people(30_000)
    lines[1_000::1_000] = ["broken,row,here"] * 29
    lines += people(500)
    outcome = world.into_people(*lines)
    assert counts(outcome) == (29_971, 500, 0, 29)
    assert world.store.row_count(MID, "people") == 29_971
    assert len(world.store.bad_rows(world.task_id, limit=1000)) == 29


def test_a_large_file_into_a_list_is_there_and_counted(world):
    number = world.store.create_list(MID, "News")
    outcome = world.into_people(*people(20_000), *people(10), DestinationObject={"xsi:type": "List", "ID": number})
    assert counts(outcome) == (20_000, 10, 0, 0)
    assert sum(1 for _ in world.store.subscribers(MID, number)) == 20_000


def test_rows_that_alternate_between_actions_keep_their_order_across_batches(world):
    world.people()
    actions = [{"Value": "+", "Action": "AddAndUpdate"}, {"Value": "-", "Action": "Delete"}]
    lines = [line for number in range(3000) for line in (f"+,p{number}@x.com,A,1", f"-,p{number}@x.com,,")]
    outcome = world.into_people(
        *lines, "+,last@x.com,A,1", head="Do,Email,Name,Age",
        UpdateType="ColumnBased", ControlColumn="Do", ControlColumnActions=actions,
    )  # fmt: skip
    assert outcome.total == 6001
    assert [row[0] for row in world.rows()] == ["last@x.com"]


def peak_while_importing(world, count):
    world.put("people.csv", *people(count))
    tracemalloc.start()
    try:
        assert world.run(UpdateType="Overwrite").successful == count
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_file(world):
    world.people()
    small, large = peak_while_importing(world, 5_000), peak_while_importing(world, 40_000)
    assert large < small * 1.2


def test_memory_does_not_grow_with_the_number_of_bad_rows(world):
    world.people()
    world.put("people.csv", *(f"broken {number},x,1" for number in range(40_000)))
    tracemalloc.start()
    try:
        assert world.run(AllowErrors=True).errors == 40_000
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


def in_threads(*jobs):
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


def test_imports_side_by_side_count_only_their_own_rows(world: World):
    outcomes = {}

    def job(key, lines):
        world.people(key=key)
        world.put(f"{key}.csv", *lines)

        def run():
            destination = {"xsi:type": "DataExtension", "CustomerKey": key}
            outcomes[key] = world.run(FileSpec=f"{key}.csv", DestinationObject=destination)

        return run

    jobs = [job(f"de{number}", people(5_000 + number)) for number in range(4)]
    in_threads(*jobs, lambda: [world.store.data_extensions(MID) for _ in range(200)])
    assert {key: outcome.successful for key, outcome in outcomes.items()} == {
        f"de{number}": 5_000 + number for number in range(4)
    }


def test_two_runs_into_one_destination_count_as_if_one_came_after_the_other(world):
    world.people()
    world.put("people.csv", *people(6_000))
    outcomes = []
    in_threads(*[lambda: outcomes.append(world.run()) for _ in range(3)])
    assert [counts(outcome) for outcome in outcomes] == [(6_000, 0, 0, 0)] * 3

"""What holds for every import, whatever the file and the definition say."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfmc_sandbox.importing import Field
from tests.unit.sfmc_sandbox.importing.world import MID, World, counts

UPDATE_TYPES = ["AddAndUpdate", "AddAndDoNotUpdate", "UpdateButDoNotAdd", "Overwrite", "ColumnBased"]
ACTIONS = ["AddAndUpdate", "AddButDoNotUpdate", "UpdateButDoNotAdd", "Delete", "Skip"]

lines = st.lists(
    st.tuples(st.sampled_from([*"abcd", "", "bad"]), st.sampled_from(["1", "x", ""]), st.sampled_from([*ACTIONS, "?"])),
    max_size=12,
)
definitions = st.fixed_dictionaries(
    {
        "UpdateType": st.sampled_from(UPDATE_TYPES),
        "AllowErrors": st.booleans(),
        "Filter": st.sampled_from(["", "Age = 1", "[Email] <> 'a@example.com'"]),
        "into_list": st.booleans(),
    }
)


def spelled(key, age, action):
    return f"{key}@example.com,{age},{action}" if len(key) == 1 else f"{key},{age},{action}"


def run(world, rows, number, definition):
    wanted = dict(definition)
    if wanted.pop("into_list"):
        wanted["DestinationObject"] = {"xsi:type": "List", "ID": number}
    actions = [{"Value": name, "Action": name} for name in ACTIONS]
    return world.into_people(
        *(spelled(*row) for row in rows),
        head="Email,Age,Do",
        ControlColumn="Do",
        ControlColumnActions=actions,
        **wanted,
    )


@given(st.lists(st.tuples(lines, definitions), min_size=1, max_size=3))
def test_every_row_is_counted_as_exactly_one_thing(imports):
    folder = Path(tempfile.mkdtemp())
    try:
        with World(folder) as world:
            world.people(Field("Email", "EmailAddress", is_primary_key=True), Field("Age", "Number"))
            number = world.store.create_list(MID, "News")
            for rows, definition in imports:
                check(world, rows, run(world, rows, number, definition))
    finally:
        shutil.rmtree(folder)


def check(world, rows, outcome):
    assert all(count >= 0 for count in counts(outcome))
    assert sum(counts(outcome)) == outcome.total <= len(rows)
    assert len(world.store.bad_rows(world.task_id)) == outcome.errors
    if outcome.status == "Completed":
        assert outcome.total == len(rows)
    emails = [row["Email"] for row in world.store.rows(MID, "people")]
    assert len(emails) == len(set(emails))


@given(
    st.binary(max_size=200),
    st.dictionaries(
        st.sampled_from(["Delimiter", "EndOfLineRepresentation", "NullRepresentation", "Filter", "FileSpec"]),
        st.text(max_size=5),
    ),
    st.sampled_from(["CSV", "TAB", "Other"]),
    st.sampled_from([0, 1200, 1201, 1252, 65001, 932, 65000]),
)
def test_any_bytes_and_texts_end_in_an_outcome(content, texts, file_type, code_page):
    folder = Path(tempfile.mkdtemp())
    try:
        with World(folder) as world:
            world.people(Field("Email", is_primary_key=True), Field("Age", "Number"))
            world.put_bytes("people.csv", b"Email,Age\n" + content)
            outcome = world.run(**texts, FileType=file_type, EncodingCodePage=code_page, AllowErrors=True)
            assert outcome.status in {"Completed", "Error"}
            assert sum(counts(outcome)) == outcome.total
    finally:
        shutil.rmtree(folder)


def test_progress_is_reported_before_anything_can_go_wrong(world):
    world.run(UpdateType="Upsert")
    assert world.seen == ["Processing"]


def test_each_run_marks_its_own_rows_even_when_a_task_id_comes_twice(world):
    world.people()
    assert world.into_people("a@example.com,Ann,1").successful == 1
    assert world.into_people("a@example.com,Ann,1").successful == 1


def test_a_destination_dropped_while_the_import_runs_ends_it_in_error(world):
    world.people()
    world.put("people.csv", *(f"p{number}@example.com,P,1" for number in range(5000)))
    dropped = []

    def drop(status):
        if status == "IOWork":
            dropped.append(world.store.drop_data_extension(MID, "people"))

    world.seen = Hearing(drop)
    outcome = world.run()
    assert dropped == [True]
    assert (outcome.status, outcome.successful) == ("Error", 0)


class Hearing(list):
    def __init__(self, hear):
        super().__init__()
        self.append = hear


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Chicago"])
def test_the_zone_of_the_account_may_be_any(world, zone):
    world.account = type(world.account)(MID, zone, 99, "utf-8")
    world.people()
    assert world.into_people("a@example.com,Ann,1").status == "Completed"

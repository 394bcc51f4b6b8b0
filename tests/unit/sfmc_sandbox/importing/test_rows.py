import gc
import threading
from pathlib import Path

import pytest

from sfmc_sandbox.importing import Field, RowStore
from tests.unit.sfmc_sandbox.importing.world import MID

FIELDS = (Field("Id", "Number", is_primary_key=True), Field("Name"))


@pytest.fixture
def store(tmp_path):
    made = RowStore(tmp_path / "rows.db")
    yield made
    made.close()


def test_a_data_extension_is_found_by_key_and_object_id_in_its_business_unit(store):
    made = store.create_data_extension(MID, "People", "guid", "People", FIELDS)
    assert store.data_extension(MID, "people") == store.data_extension(MID, "GUID") == made
    assert made.fields == FIELDS
    assert store.data_extension("other", "People") is None
    assert store.data_extensions(MID) == [made]


def test_a_key_is_free_in_another_business_unit_and_taken_in_its_own(store):
    store.create_data_extension(MID, "people", "1", "People", FIELDS)
    store.create_data_extension("other", "people", "1", "People", FIELDS)
    with pytest.raises(ValueError, match="'PEOPLE' exists already"):
        store.create_data_extension(MID, "PEOPLE", "2", "People", FIELDS)


@pytest.mark.parametrize("fields", [(), (Field("a"), Field("A"))])
def test_a_data_extension_needs_fields_with_different_names(store, fields):
    with pytest.raises(ValueError, match="different names"):
        store.create_data_extension(MID, "x", "1", "X", fields)
    assert store.data_extension(MID, "x") is None


def test_a_dropped_data_extension_is_gone_with_its_rows_and_can_be_made_anew(store):
    store.create_data_extension(MID, "people", "1", "People", FIELDS)
    assert store.drop_data_extension(MID, "people")
    assert not store.drop_data_extension(MID, "people")
    store.create_data_extension(MID, "people", "1", "People", FIELDS)
    assert list(store.rows(MID, "people")) == []


def test_rows_of_a_data_extension_that_is_not_there_are_a_key_error(store):
    with pytest.raises(KeyError):
        list(store.rows(MID, "gone"))
    with pytest.raises(KeyError):
        store.row_count(MID, "gone")


def test_names_that_look_like_sql_are_names(store):
    evil = 'x"; DROP TABLE data_extension; --'
    store.create_data_extension(MID, evil, evil + "1", evil, [Field(evil, default_value="it's '; --")])
    assert store.data_extension(MID, evil).fields[0].name == evil
    assert list(store.rows(MID, evil)) == []


def test_lists_have_numbers_and_belong_to_a_business_unit(store):
    number = store.create_list(MID, "News")
    assert store.list_exists(MID, number)
    assert not store.list_exists("other", number)
    assert store.create_list(MID, "Fixed", 4711) == 4711
    assert store.mailing_list(MID, 4711).name == "Fixed"
    with pytest.raises(ValueError, match="a list 4711 exists already"):
        store.create_list(MID, "Again", 4711)
    assert list(store.subscribers(MID, 12345)) == []


def test_rows_stay_when_the_store_is_opened_again(tmp_path):
    first = RowStore(tmp_path / "rows.db")
    first.create_data_extension(MID, "people", "1", "People", FIELDS)
    run = first.new_run()
    first.close()
    again = RowStore(tmp_path / "rows.db")
    assert again.data_extension(MID, "people").fields == FIELDS
    assert again.new_run() > run
    again.close()


def test_a_store_without_a_path_leaves_nothing_behind():
    store = RowStore()
    store.create_data_extension(MID, "people", "1", "People", FIELDS)
    path = Path(store.database.path)
    assert path.exists()
    store.close()
    del store
    gc.collect()
    assert not path.parent.exists()


def test_an_error_in_a_writing_block_undoes_it(store):
    def fail_after_a_row():
        with store.database.writing() as connection:
            connection.execute("INSERT INTO bad_row (task_id) VALUES (1)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after_a_row()
    with store.database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM bad_row").fetchone() == (0,)


def test_a_reader_sees_the_last_commit_while_somebody_writes(store):
    store.create_data_extension(MID, "people", "1", "People", FIELDS)
    with store.database.writing() as connection:
        connection.execute("INSERT INTO de_1 VALUES (1, 'Ann', 1)")
        assert store.row_count(MID, "people") == 0
    assert store.row_count(MID, "people") == 1


def test_runs_into_one_destination_wait_for_each_other_and_others_do_not(store):
    entered = threading.Event()

    def second():
        with store.alone("a"):
            entered.set()

    with store.alone("a"):
        waiting = threading.Thread(target=second)
        waiting.start()
        with store.alone("b"):
            assert not entered.is_set()
    waiting.join(10)
    assert entered.is_set()

"""Each property that maps, checks or stores rows changes what a whole import does."""

import pytest

from sfmc_sandbox.importing import Field
from tests.unit.sfmc_sandbox.importing.world import MID, TIDY, counts

ANN, BOB = ("a@example.com", "Ann", 30), ("b@example.com", "Bob", 40)


def test_a_tidy_file_lands_typed_in_the_data_extension(world):
    world.people()
    outcome = world.into_people(*TIDY)
    assert (outcome.status, counts(outcome), outcome.total) == ("Completed", (2, 0, 0, 0), 2)
    assert (outcome.import_type, outcome.destination_id) == ("Data Extensions", "people")
    assert (outcome.message, outcome.file) == ("2 of 2 rows imported", "people.csv")
    assert world.rows() == [ANN, BOB]
    assert world.seen == ["Processing", "IOWork"]


@pytest.mark.parametrize("reference", [{"CustomerKey": "PEOPLE"}, {"ObjectID": "id-of-people"}])
def test_destination_object_is_a_data_extension_by_customer_key_or_object_id(world, reference):
    world.people()
    assert world.into_people(*TIDY, DestinationObject={"xsi:type": "DataExtension"} | reference).successful == 2


@pytest.mark.parametrize(
    ("destination", "why"),
    [
        (None, "the definition has no DestinationObject"),
        ({"xsi:type": "DataExtension", "CustomerKey": "gone"}, "there is no data extension 'gone'"),
        ({"xsi:type": "DataExtension"}, "there is no data extension ''"),
        ({"xsi:type": "List", "ID": 12345}, "there is no list 12345"),
    ],
)
def test_destination_object_that_is_not_there_ends_in_error(world, destination, why):
    assert why in world.into_people(*TIDY, DestinationObject=destination).message


def test_a_data_extension_of_another_business_unit_is_not_there(world):
    world.store.create_data_extension("other", "people", "x", "People", [Field("Email")])
    assert world.into_people(*TIDY).status == "Error"


def test_allow_errors_true_goes_on_and_keeps_the_bad_rows_with_line_and_reason(world):
    world.people()
    outcome = world.into_people("x,Ann,1", TIDY[0], "c@example.com,Cat,old", "short")
    assert (outcome.status, counts(outcome), outcome.total) == ("Completed", (1, 0, 0, 3), 4)
    bad = [(row.line, row.raw, row.reason, row.file) for row in world.store.bad_rows(world.task_id)]
    assert bad == [
        (2, "x,Ann,1", "Email: 'x' is not an email address", "people.csv"),
        (4, "c@example.com,Cat,old", "Age: 'old' is not a number", "people.csv"),
        (5, "short", "the row has 1 columns, 3 are expected", "people.csv"),
    ]
    assert world.store.bad_rows(world.task_id, limit=1, offset=1)[0].line == 4
    assert world.store.bad_rows(world.task_id + 1) == []


@pytest.mark.parametrize("allow", [{"AllowErrors": False}, {"AllowErrors": None}])
def test_allow_errors_false_stops_after_the_first_error_and_keeps_what_came_before(world, allow):
    world.people()
    outcome = world.into_people(TIDY[0], "x,Bad,1", TIDY[1], **allow)
    assert (outcome.status, counts(outcome), outcome.total) == ("Error", (1, 0, 0, 1), 2)
    assert outcome.message == ("Stopped at the first error: line 3 of people.csv: Email: 'x' is not an email address")
    assert world.rows() == [ANN]


def test_update_type_add_and_update(world):
    world.people()
    world.into_people(*TIDY)
    outcome = world.into_people("A@EXAMPLE.com,Anna,31", "c@example.com,Cat,5", UpdateType="AddAndUpdate")
    assert counts(outcome) == (2, 0, 0, 0)
    assert [row[1:] for row in world.rows()] == [("Anna", 31), ("Bob", 40), ("Cat", 5)]


def test_update_type_add_and_do_not_update_counts_existing_rows_as_duplicated(world):
    world.people()
    world.into_people(*TIDY)
    outcome = world.into_people("a@example.com,Anna,31", "c@example.com,Cat,5", UpdateType="AddAndDoNotUpdate")
    assert counts(outcome) == (1, 1, 0, 0)
    assert world.rows() == [ANN, BOB, ("c@example.com", "Cat", 5)]


def test_update_type_update_but_do_not_add_counts_new_rows_as_restricted(world):
    world.people()
    world.into_people(*TIDY)
    outcome = world.into_people("a@example.com,Anna,31", "c@example.com,Cat,5", UpdateType="UpdateButDoNotAdd")
    assert counts(outcome) == (1, 0, 1, 0)
    assert world.rows() == [("a@example.com", "Anna", 31), BOB]


def test_update_type_merge_is_refused_as_reserved(world):
    world.people()
    assert world.into_people(*TIDY, UpdateType="Merge").message == "UpdateType Merge is reserved: choose another one"


def test_update_type_overwrite_replaces_all_rows(world):
    world.people()
    world.into_people(*TIDY)
    assert counts(world.into_people("c@example.com,Cat,5", UpdateType="Overwrite")) == (1, 0, 0, 0)
    assert world.rows() == [("c@example.com", "Cat", 5)]


def test_update_type_overwrite_removes_nothing_where_the_file_does_not_fit(world):
    world.people()
    world.into_people(*TIDY)
    assert world.into_people("x,y", head="Other,Columns", UpdateType="Overwrite").status == "Error"
    assert world.rows() == [ANN, BOB]


@pytest.mark.parametrize("content", [b"", b"Email,Name,Age\n"])
def test_update_type_overwrite_with_a_file_without_rows_leaves_none(world, content):
    world.people()
    world.into_people(*TIDY)
    world.put_bytes("people.csv", content)
    assert world.run(UpdateType="Overwrite").status == "Completed"
    assert world.rows() == []


def test_a_data_extension_without_primary_key_takes_overwrite_only(world):
    world.people(Field("Email"), Field("Name"))
    for update_type in ("AddAndUpdate", "AddAndDoNotUpdate", "UpdateButDoNotAdd", "ColumnBased"):
        assert "takes Overwrite only" in world.into_people(*TIDY, UpdateType=update_type).message
    assert counts(world.into_people(TIDY[0], TIDY[0], UpdateType="Overwrite")) == (2, 0, 0, 0)
    assert world.rows() == [("a@example.com", "Ann")] * 2


@pytest.mark.parametrize("update_type", ["AddAndUpdate", "AddAndDoNotUpdate", "Overwrite"])
def test_a_key_that_comes_again_in_the_file_is_duplicated_and_its_last_row_wins(world, update_type):
    world.people()
    outcome = world.into_people(TIDY[0], TIDY[1], "a@example.com,Last,3", UpdateType=update_type)
    assert counts(outcome) == (2, 1, 0, 0)
    assert world.rows() == [("a@example.com", "Last", 3), BOB]


def test_keys_of_several_fields_are_compared_together(world):
    world.people(Field("Shop", is_primary_key=True), Field("Item", "Number", is_primary_key=True), Field("Price"))
    outcome = world.into_people("x,1,10", "x,2,20", "y,1,30", "X,1,11", head="Shop,Item,Price")
    assert counts(outcome) == (3, 1, 0, 0)
    assert [row[2] for row in world.rows()] == ["11", "20", "30"]


COLUMN_BASED = {
    "UpdateType": "ColumnBased",
    "ControlColumn": "Do",
    "ControlColumnActions": [
        {"Value": "both", "Action": "AddAndUpdate"},
        {"Value": "add", "Action": "AddButDoNotUpdate"},
        {"Value": "update", "Action": "UpdateButDoNotAdd"},
        {"Value": "delete", "Action": "Delete"},
        {"Value": "skip", "Action": "Skip"},
    ],
}


def column_based(world, *lines, **properties):
    return world.into_people(*lines, head="Do,Email,Name,Age", **(COLUMN_BASED | properties))


def test_control_column_actions_say_what_happens_to_each_row(world):
    world.people()
    world.into_people(*TIDY, "c@example.com,Cat,5")
    outcome = column_based(
        world,
        "both,a@example.com,Anna,1",
        "add,b@example.com,Kept,2",
        "add,d@example.com,Dan,3",
        "update,e@example.com,Unknown,4",
        "delete,c@example.com,,not even a number",
        "delete,z@example.com,,",
        "skip,not an address,,",
    )
    assert counts(outcome) == (3, 1, 3, 0)
    assert world.rows() == [("a@example.com", "Anna", 1), BOB, ("d@example.com", "Dan", 3)]


@pytest.mark.parametrize(
    ("default", "expected"), [("AddAndUpdate", (1, 0, 0, 0)), ("Skip", (0, 0, 1, 0)), (None, (0, 0, 1, 0))]
)
def test_control_column_default_action_is_for_values_without_an_action(world, default, expected):
    world.people()
    assert counts(column_based(world, "what,a@example.com,Anna,1", ControlColumnDefaultAction=default)) == expected


def test_column_based_without_its_control_column_ends_in_error(world):
    world.people()
    assert "needs a ControlColumn" in column_based(world, "both,a@example.com,A,1", ControlColumn=None).message
    assert "ControlColumn: the file has no column 'Gone'" in column_based(world, "", ControlColumn="Gone").message


def test_a_key_deleted_after_it_was_added_in_the_same_file_is_gone(world):
    world.people()
    outcome = column_based(world, "both,a@example.com,Ann,1", "delete,a@example.com,,")
    assert counts(outcome) == (1, 1, 0, 0)
    assert world.rows() == []


def test_field_mapping_type_and_field_maps_place_the_columns(world):
    world.people()
    maps = [{"SourceName": "1", "DestinationName": "Age"}, {"SourceOrdinal": 2, "DestinationName": "Email"}]
    outcome = world.into_people(
        "30,x,a@example.com", head="ignored line", HeaderLines=1, FieldMappingType="MapByOrdinal", FieldMaps=maps
    )
    assert counts(outcome) == (1, 0, 0, 0)
    manual = [{"SourceName": "mail", "DestinationName": "Email"}, {"SourceName": "who", "DestinationName": "Name"}]
    world.into_people("Bob,b@example.com", head="Who,Mail", FieldMappingType="ManualMap", FieldMaps=manual)
    assert world.rows() == [("a@example.com", None, 30), ("b@example.com", "Bob", None)]


def test_map_by_ordinal_without_header_lines_reads_the_first_line_as_a_row(world):
    world.people()
    assert world.into_people(TIDY[1], head=TIDY[0], FieldMappingType="MapByOrdinal").successful == 2


def test_date_formatting_locale_changes_the_day(world):
    world.people(Field("Email", is_primary_key=True), Field("Born", "Date"))
    line, head = "a@example.com,5/9/2024", "Email,Born"
    world.into_people(line, head=head)
    assert world.rows() == [("a@example.com", "2024-05-09T00:00:00")]
    world.into_people(line, head=head, DateFormattingLocale={"LocaleCode": "en-GB"})
    assert world.rows() == [("a@example.com", "2024-09-05T00:00:00")]
    outcome = world.into_people(line, head=head, DateFormattingLocale={"LocaleCode": "klingon"})
    assert "DateFormattingLocale 'klingon' is not known here" in outcome.message


def test_filter_leaves_rows_out_as_restricted(world):
    world.people()
    outcome = world.into_people(*TIDY, "not an address,Cat,5", Filter="Age > 35")
    assert counts(outcome) == (1, 0, 2, 0)
    assert world.rows() == [BOB]
    assert world.into_people(*TIDY, Filter="Age >").status == "Error"


def test_a_column_that_is_not_mapped_is_left_alone_on_update_and_gets_its_default_when_added(world):
    world.people(
        Field("Email", is_primary_key=True),
        Field("Level", "Number", default_value="1"),
        Field("Note", default_value="it's new"),
        Field("Since", "Date", default_value="getdate()"),
    )
    world.into_people("a@example.com,5", head="Email,Level")
    world.into_people("a@example.com,n", head="Email,Note")
    assert world.rows() == [("a@example.com", 5, "n", "2024-05-09T10:30:00")]
    world.into_people("b@example.com", head="Email")
    assert world.rows()[1] == ("b@example.com", 1, "it's new", "2024-05-09T10:30:00")


def test_a_default_that_does_not_fit_its_field_ends_in_error(world):
    world.people(Field("Email", is_primary_key=True), Field("Level", "Number", default_value="high"))
    assert "DefaultValue of Level: 'high' is not a number" in world.into_people("a", head="Email").message


def test_values_of_every_type_come_back_typed(world):
    world.people(
        Field("Email", is_primary_key=True),
        Field("Yes", "Boolean"),
        Field("Price", "Decimal", max_length=8, scale=2),
        Field("Born", "Date"),
    )
    world.into_people("a,true,1.5,5/9/2024", "b,,,", head="Email,Yes,Price,Born")
    assert list(world.store.rows(MID, "people")) == [
        {"Email": "a", "Yes": True, "Price": "1.50", "Born": "2024-05-09T00:00:00"},
        {"Email": "b", "Yes": None, "Price": None, "Born": None},
    ]


def test_a_bad_row_of_several_lines_is_reported_by_its_row_and_its_first_line(world):
    world.people()
    long = '"Ann\nof\nCleves"'
    world.into_people(f"a@example.com,{long},30", "", f"b@example.com,{long},old", "c@example.com,Cy,older")
    found = [(bad.row, bad.line, bad.raw.count("\n")) for bad in world.store.bad_rows(world.task_id)]
    assert found == [(2, 6, 2), (3, 9, 0)]

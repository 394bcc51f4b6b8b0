import pytest

from sfmc_sandbox.importing.columns import Field, Shape, bind, columns_needed, needs_headings
from sfmc_sandbox.importing.definition import read_definition
from sfmc_sandbox.importing.outcome import RefusedError

KEY = Field("Email", "EmailAddress", is_primary_key=True)
NAME = Field("Name")
MUST = Field("Country", is_required=True)
DEFAULTED = Field("City", is_required=True, default_value="Rome")
SHAPE = Shape((KEY, NAME), {}, open=False)


def bound(headings, shape=SHAPE, **definition):
    bindings = bind(read_definition(definition), headings, shape)
    return [(binding.column, binding.field.name) for binding in bindings]


def manual(*maps, kind="ManualMap"):
    return {"FieldMappingType": kind, "FieldMaps": list(maps)}


def by_name(source, destination):
    return {"SourceName": source, "DestinationName": destination}


def by_place(source, destination):
    return {"SourceOrdinal": source, "DestinationName": destination}


def test_field_mapping_type_infer_from_column_headings_goes_by_name_in_any_case_and_order():
    assert bound(["NAME", "Shoe Size", " email "]) == [(0, "Name"), (2, "Email")]


def test_field_mapping_type_map_by_ordinal_without_maps_follows_the_fields():
    assert bound(None, FieldMappingType="MapByOrdinal") == [(0, "Email"), (1, "Name")]


def test_field_mapping_type_map_by_ordinal_counts_source_ordinal_from_0_and_source_name_from_1():
    assert bound(None, **manual(by_place(2, "Email"), by_place(0, "Name"), kind="MapByOrdinal")) == [
        (0, "Name"),
        (2, "Email"),
    ]
    assert bound(None, **manual(by_name("3", "Email"), by_name("1", "Name"), kind="MapByOrdinal")) == [
        (0, "Name"),
        (2, "Email"),
    ]


def test_field_mapping_type_manual_map_goes_by_source_name_or_source_ordinal():
    assert bound(["mail", "who"], **manual(by_name("Mail", "email"), by_place(1, "Name"))) == [
        (0, "Email"),
        (1, "Name"),
    ]


def test_field_maps_may_stand_in_their_wrapper_and_alone():
    wrapped = {"FieldMappingType": "ManualMap", "FieldMaps": {"FieldMap": by_name("mail", "Email")}}
    assert bound(["mail"], **wrapped) == [(0, "Email")]


@pytest.mark.parametrize(
    ("headings", "definition", "why"),
    [
        (["a", "b"], {}, "no column of the file belongs to a field"),
        (["Name"], {}, "fills the required field 'Email'"),
        (["Email", "EMAIL"], {}, "more than one column of the file goes to the field 'email'"),
        (["Email"], manual(by_name("mail", "Email")), "FieldMaps: the file has no column 'mail'"),
        (["Email"], manual(by_name("Email", "Mail")), "FieldMaps: the destination has no field 'Mail'"),
        (["Email"], manual(by_place(7, "Email")), "FieldMaps: the file has no column 8 for 'Email'"),
        (None, manual(by_place(-1, "Email")), "FieldMaps: the file has no column 0"),
        (None, manual(by_name("mail", "Email"), kind="MapByOrdinal"), "columns without headings have numbers from 1"),
        (None, manual(by_name("0", "Email"), kind="MapByOrdinal"), "'0' is not one"),
        (["Email"], manual(), "no column of the file belongs to a field"),
    ],
)
def test_a_map_that_fits_no_column_or_field_is_refused_with_the_reason(headings, definition, why):
    with pytest.raises(RefusedError, match=why):
        bound(headings, **definition)


def test_a_required_field_may_stay_empty_where_it_has_a_default_or_nothing_is_added():
    shape = Shape((KEY, MUST), {}, open=False)
    with pytest.raises(RefusedError, match="required field 'Country'"):
        bound(["Email"], shape)
    assert bound(["Email"], shape, UpdateType="UpdateButDoNotAdd") == [(0, "Email")]
    assert bound(["Email"], Shape((KEY, DEFAULTED), {}, open=False)) == [(0, "Email")]


def test_an_open_shape_takes_every_named_column_and_knows_aliases():
    shape = Shape((Field("Email Address", is_primary_key=True),), {"email": "Email Address"}, open=True)
    assert bound(["E-Mail", "First Name", ""], shape) == [(0, "Email Address"), (1, "First Name")]
    with pytest.raises(RefusedError, match="needs FieldMaps"):
        bound(None, shape, FieldMappingType="MapByOrdinal")


@pytest.mark.parametrize(
    ("definition", "needed"),
    [
        ({}, True),
        ({"FieldMappingType": "MapByOrdinal"}, False),
        (manual(by_name("a", "b")), True),
        (manual(by_place(0, "b")), False),
    ],
)
def test_headings_are_needed_where_columns_are_named(definition, needed):
    assert needs_headings(read_definition(definition)) is needed


def test_rows_need_as_many_columns_as_headings_or_as_the_maps_reach():
    options = read_definition(manual(by_place(3, "Email")))
    bindings = bind(options, None, SHAPE)
    assert columns_needed(options, ["a", "b"], bindings) == (2, 2)
    assert columns_needed(options, None, bindings)[0] == 4
    assert columns_needed(read_definition({}), None, bindings) == (1, 1)

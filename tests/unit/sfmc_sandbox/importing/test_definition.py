import pytest

from sfmc_sandbox.importing.definition import FieldMap, read_definition
from sfmc_sandbox.importing.outcome import RefusedError
from sfmc_sandbox.importing.reading import Dialect, dialect_of


def test_an_empty_definition_means_the_defaults():
    options = read_definition({})
    assert (options.file_type, options.mapping, options.update_type) == (
        "CSV",
        "InferFromColumnHeadings",
        "AddAndUpdate",
    )
    assert (options.allow_errors, options.delete_file, options.multiple_files) == (False, False, False)
    assert (options.quoted_strings, options.locale, options.subscriber_type) == (True, "en-US", "Email")
    assert (options.header_lines, options.code_page, options.max_file_age) == (0, 0, 0)
    assert options.control_default == "Skip"
    assert options.destination is options.source is options.location is options.auto_generate is None


def test_lists_of_items_are_read_with_and_without_their_wrapper():
    maps = [{"SourceOrdinal": 0, "DestinationName": "a"}, {"SourceName": "x", "DestinationName": "b"}]
    expected = (FieldMap(None, 0, "a"), FieldMap("x", None, "b"))
    assert read_definition({"FieldMaps": maps}).field_maps == expected
    assert read_definition({"FieldMaps": {"FieldMap": maps}}).field_maps == expected


def test_a_type_may_have_a_prefix():
    assert read_definition({"DestinationObject": {"xsi:type": "ns0:List", "ID": "7"}}).destination.id == 7


@pytest.mark.parametrize(
    ("wire", "why"),
    [
        ({"UpdateType": "Upsert"}, "UpdateType is 'Upsert': it must be one of AddAndUpdate, AddAndDoNotUpdate"),
        ({"FileType": "XLS"}, "FileType is 'XLS': it must be one of CSV, TAB, Other"),
        ({"ControlColumnDefaultAction": "AddAndDoNotUpdate"}, "ControlColumnDefaultAction is"),
        ({"HeaderLines": -1}, "HeaderLines is -1: it must be 0 or more"),
        ({"MaxFileAge": "old"}, "MaxFileAge is 'old'"),
        ({"DestinationObject": {"xsi:type": "List", "ID": "news"}}, "ID of DestinationObject is 'news'"),
    ],
)
def test_a_value_that_no_property_knows_is_refused_by_name(wire, why):
    with pytest.raises(RefusedError, match=why):
        read_definition(wire)


@pytest.mark.parametrize(
    ("wire", "dialect"),
    [
        ({"FileType": "CSV", "Delimiter": ";"}, Dialect(",", "", quoted=True)),
        ({"FileType": "TAB", "StandardQuotedStrings": False}, Dialect("\t", "", quoted=False)),
        ({"FileType": "Other", "Delimiter": "||"}, Dialect("||", "", quoted=True)),
        ({"FileType": "Other", "Delimiter": "\\t"}, Dialect("\t", "", quoted=True)),
        ({"EndOfLineRepresentation": "crlf"}, Dialect(",", "\r\n", quoted=True)),
        ({"EndOfLineRepresentation": "\\n"}, Dialect(",", "\n", quoted=True)),
        ({"EndOfLineRepresentation": "\r"}, Dialect(",", "\r", quoted=True)),
        ({"EndOfLineRepresentation": "~"}, Dialect(",", "~", quoted=True)),
    ],
)
def test_file_type_delimiter_line_end_and_quotes_make_the_dialect(wire, dialect):
    assert dialect_of(read_definition(wire)) == dialect


@pytest.mark.parametrize("delimiter", ["", '"', "\n", 'a"'])
def test_file_type_other_needs_a_usable_delimiter(delimiter):
    with pytest.raises(RefusedError, match="FileType Other needs a Delimiter"):
        dialect_of(read_definition({"FileType": "Other", "Delimiter": delimiter}))

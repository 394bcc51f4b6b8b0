from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfmc_import.file_spec import resolve
from sfmc_import.routing import (
    AmbiguousRoute,
    BadRouteError,
    FileSpecs,
    Route,
    Routed,
    Routes,
    Routing,
    Unrouted,
)
from sfmc_import.runs import Definition

MID = "510001234"
TODAY = date(2026, 3, 7)


class Specs:
    """The FileSpecs of definitions, asked on the days that it may be: one, where midnight is far."""

    def __init__(self, *days: date, **by_key: str | None) -> None:
        self._days = days or (TODAY,)
        self._specs = FileSpecs([Definition(customer_key=key, file_spec=spec) for key, spec in by_key.items()], MID)

    def find(self, name: str) -> Routing:
        return self._specs.find(name, self._days[0]) or self._specs.why_none(name, self._days)


specs = Specs


def routes_of(*routes: Route) -> Routes:
    return Routes(routes, MID, TODAY)


def routed(routes: list[tuple[str, str]], name: str, location: str = "/in") -> str | None:
    found = routes_of(*(Route(pattern=pattern, customer_key=key) for pattern, key in routes)).find(location, name)
    return found.customer_key if found else None


def test_a_file_named_exactly_as_one_file_spec_starts_that_definition():
    found = specs(contacts="contacts.csv", orders="orders.csv").find("orders.csv")

    assert found == Routed(customer_key="orders", mid=MID, by="file_spec")


@pytest.mark.parametrize(
    "spec",
    ["in_%%YEAR%%-%%MONTH%%-%%DAY%%.csv", "in_%%Year%%-%%month%%-%%dAy%%.csv", "in_2026-%%MONTH%%-07.csv"],
)
def test_date_parts_in_any_case_mean_the_date_of_today_with_two_digits(spec):
    assert specs(daily=spec).find("in_2026-03-07.csv") == Routed(customer_key="daily", mid=MID, by="file_spec")


@pytest.mark.parametrize("name", ["in_20260306.csv", "in_20260308.csv", "in_20250307.csv"])
def test_a_file_named_for_another_day_is_reported_with_the_definition_and_the_name_read_now(name):
    found = specs(daily="in_%%YEAR%%%%MONTH%%%%DAY%%.csv", other="x.csv").find(name)

    assert isinstance(found, Unrouted)
    assert (found.reason, found.customer_keys) == ("date_differs", ("daily",))
    assert "in_20260307.csv" in found.text


def test_the_special_characters_of_a_file_spec_mean_themselves():
    assert specs(daily="a+b(1).%%YEAR%%").find("aab1x2025") == specs().find("aab1x2025")


def test_a_name_that_differs_in_case_alone_is_reported_rather_than_started():
    found = specs(contacts="Contacts.csv").find("contacts.CSV")

    assert isinstance(found, Unrouted)
    assert (found.reason, found.customer_keys) == ("case_differs", ("contacts",))


ONE, TWO = "K\u00fcndigungen.csv", "Ku\u0308ndigungen.csv"


@pytest.mark.parametrize(("spec", "name"), [(ONE, TWO), (TWO, ONE), (ONE, ONE), (TWO, TWO)])
def test_an_accented_letter_may_be_one_character_or_two(spec, name):
    assert specs(k=spec, other="x.csv").find(name) == Routed(customer_key="k", mid=MID, by="file_spec")
    assert routed([(spec.replace("K", "*"), "k")], name) == "k"
    assert routed([(f"/in/{spec}", "k")], name) == "k"


def test_a_dated_name_may_have_accents_of_two_characters():
    found = specs(daily=f"%%DAY%%_{ONE}").find(f"06_{TWO}")

    assert isinstance(found, Unrouted)
    assert found.reason == "date_differs"


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        (" contacts.csv", "U+0020"),
        ("contacts.csv ", "U+0020"),
        ("contacts .csv", "U+0020"),
        ("contacts\u00a0.csv", "U+00A0"),
        ("contacts\u200b.csv\t", "U+0009, U+200B"),
        ("Contacts .csv", "U+0020"),
    ],
)
def test_a_name_that_differs_in_blanks_or_invisible_characters_is_reported_with_their_codes(name, codes):
    found = specs(contacts="contacts.csv").find(name)

    assert isinstance(found, Unrouted)
    assert (found.reason, found.customer_keys) == ("blanks_differ", ("contacts",))
    assert found.text.endswith(f"characters: {codes}")


def test_blanks_at_another_place_are_named_too():
    found = specs(contacts="con tacts.csv").find("cont acts.csv")

    assert isinstance(found, Unrouted)
    assert found.text.endswith("U+0020")


def test_the_exact_name_wins_over_one_that_differs_in_case():
    assert specs(upper="A.csv", lower="a.csv").find("a.csv") == Routed(customer_key="lower", mid=MID, by="file_spec")


def test_a_file_that_nothing_names_is_unrouted():
    found = specs(contacts="contacts.csv", none=None, empty="").find("stranger.csv")

    assert isinstance(found, Unrouted)
    assert (found.reason, found.customer_keys) == ("no_match", ())


def test_two_definitions_that_read_the_same_name_are_both_named_and_neither_is_started():
    found = specs(first="same.csv", daily="sa%%DAY%%.csv", second="same.csv").find("same.csv")

    assert isinstance(found, AmbiguousRoute)
    assert found.customer_keys == ("first", "second")


def test_a_dated_and_a_literal_spec_that_mean_the_same_name_today_are_ambiguous():
    found = specs(daily="in_%%DAY%%.csv", literal="in_07.csv").find("in_07.csv")

    assert isinstance(found, AmbiguousRoute)


def test_of_two_definitions_the_one_for_today_is_started_though_the_shape_of_both_fits():
    found = specs(today="%%YEAR%%%%MONTH%%%%DAY%%.csv", monthly="%%YEAR%%%%MONTH%%01.csv").find("20260307.csv")

    assert found == Routed(customer_key="today", mid=MID, by="file_spec")


@given(st.dates(min_value=date(1, 1, 1)), st.dates(min_value=date(1, 1, 1)))
def test_a_dated_file_is_started_on_its_own_day_and_on_no_other(named_for, today):
    spec = "in_%%YEAR%%%%MONTH%%%%DAY%%.csv"
    found = specs(today, daily=spec).find(resolve(spec, named_for))

    assert isinstance(found, Routed) == (named_for == today)


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_name_and_no_spec_break_the_search(spec, name):
    found = specs(key=spec).find(name)

    assert isinstance(found, Routed) == (name == resolve(spec, TODAY) and bool(spec))


def test_the_first_route_that_matches_wins():
    routes = [("orders_*.csv", "orders"), ("*.csv", "rest")]

    assert [routed(routes, name) for name in ("orders_1.csv", "x.csv", "x.txt")] == ["orders", "rest", None]


def test_wildcards_stay_within_a_folder_and_a_pattern_with_a_slash_looks_at_the_whole_path():
    assert routed([("/in/*/*.csv", "key")], "a.csv", "/in/eu") == "key"
    assert routed([("/in/*.csv", "key")], "a.csv", "/in/eu") is None
    assert routed([("/in/**", "key")], "a.csv", "/in/eu/1") == "key"


def test_what_a_wildcard_or_group_matched_can_stand_in_the_key():
    assert routed([("orders_*_??.csv", "imp-{1}")], "orders_eu_07.csv") == "imp-eu"
    assert routed([(r"re:(?P<region>[a-z]+)\d*\.csv", "imp-{region}")], "eu42.csv") == "imp-eu"


def test_a_group_that_took_no_part_leaves_nothing_in_the_key():
    assert routed([(r"re:a(b)?\.csv", "imp{1}")], "a.csv") == "imp"


def test_sets_of_characters_work_in_globs():
    assert routed([("[ab].csv", "k")], "a.csv") == "k"
    assert routed([("[!ab].csv", "k")], "a.csv") is None


def test_routes_look_at_upper_and_lower_case_and_at_the_whole_name():
    assert routed([("a.csv", "k")], "A.csv") is None
    assert routed([("a.csv", "k")], "aa.csv") is None
    assert routed([("a.csv", "k")], "axcsv") is None


@pytest.mark.parametrize("pattern", ["in_%%YEAR%%%%MONTH%%%%DAY%%*.csv", r"re:in_%%year%%%%month%%%%day%%\.csv"])
def test_date_parts_of_a_route_mean_today(pattern):
    assert routed([(pattern, "k")], "in_20260307.csv") == "k"
    assert routed([(pattern, "k")], "in_20260306.csv") is None


@pytest.mark.parametrize(
    ("pattern", "key"), [("re:(", "k"), ("*.csv", "{2}"), ("*.csv", "{region}"), ("[z-a].csv", "k")]
)
def test_a_route_that_can_never_work_is_refused_with_its_pattern_and_key(pattern, key):
    with pytest.raises(BadRouteError) as refusal:
        routes_of(Route(pattern=pattern, customer_key=key))

    assert repr(pattern) in str(refusal.value)
    assert repr(key) in str(refusal.value)


@pytest.mark.parametrize(
    ("folder", "location", "matches"),
    [
        ("/data/*", "/data/eu", True),
        ("/data/*", "/data/eu/new", False),
        ("/data/**", "/data/eu/new", True),
        ("s3://drop/in", "s3://drop/in", True),
        ("/data/eu", "/data/eu2", False),
        ("/data/%%YEAR%%", "/data/2026", True),
        ("/data/%%YEAR%%", "/data/2025", False),
        ("/data/a+b", "/data/a+b", True),
        ("/data", "", False),
    ],
)
def test_a_route_with_a_folder_is_for_files_of_that_location_alone(folder, location, matches):
    found = routes_of(Route(pattern="*.csv", customer_key="k", folder=folder)).find(location, "a.csv")

    assert (found is not None) is matches


def test_a_route_gives_its_priority_and_its_business_unit():
    plain, own = Route(pattern="a", customer_key="k"), Route(pattern="b", customer_key="k", mid="7", priority=3)

    assert routes_of(plain, own).find("/in", "a") == Routed(customer_key="k", mid=MID, by="route")
    assert routes_of(plain, own).find("/in", "b") == Routed(customer_key="k", mid="7", by="route", priority=3)


def test_each_route_up_to_the_first_that_matches_says_why_it_does_not():
    tried = routes_of(
        Route(pattern="b.csv", customer_key="b"),
        Route(pattern="*/b.csv", customer_key="b"),
        Route(pattern="a.csv", customer_key="a", folder="/out"),
        Route(pattern="a*", customer_key="{1}"),
        Route(pattern="*", customer_key="never"),
    ).explain("/in", "a.csv")

    assert [each.why for each in tried] == [
        "its pattern b.csv does not match all of the name",
        "its pattern */b.csv does not match all of the location and name",
        "its folder /out is not /in",
        "",
    ]
    assert tried[-1].target == Routed(customer_key=".csv", mid=MID, by="route")


def test_a_dated_name_of_another_day_is_recognised_each_time_it_is_asked_for() -> None:
    known = specs(contacts="contacts_%%YEAR%%%%MONTH%%%%DAY%%.csv")

    found = [known.find(f"contacts_{day}.csv") for day in ("20260306", "20260308")]

    assert [isinstance(each, Unrouted) and each.reason for each in found] == ["date_differs", "date_differs"]


@pytest.mark.parametrize(
    ("name", "unpack", "delivered"),
    [
        ("a.csv.gz", ("gz",), "a.csv"),
        ("a.csv.GZ.PGP", ("pgp", "gz"), "a.csv"),
        ("a.csv.gpg", ("pgp", "gz"), "a.csv"),
        ("a.zip", ("zip",), "a"),
        ("a.csv", ("gz",), "a.csv"),
        (".gz", ("gz",), ".gz"),
    ],
)
def test_a_file_that_is_unpacked_loses_the_endings_of_its_forms(name, unpack, delivered):
    route = Route(pattern="*", customer_key="k", deliver="ftp", unpack=unpack)
    found = Routes([route], "1", date(2026, 1, 5)).find("/in", name)
    assert (found.deliver.name, found.deliver.unpack) == (delivered, unpack)


def test_a_name_that_is_given_is_not_changed_by_unpacking():
    route = Route(pattern="*.gz", customer_key="k", deliver="ftp", deliver_as="{1}.zip", unpack=("gz",))
    found = Routes([route], "1", date(2026, 1, 5)).find("/in", "a.csv.gz")
    assert found.deliver.name == "a.csv.zip"

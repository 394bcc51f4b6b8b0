import tomllib
from datetime import time

import pytest

from sfmc_import.file_format import Preflight
from sfmc_import.policy import Policies, Policy
from sfmc_import.routing import Route
from sfmc_import.settings.policy_file import SEE_TABLES, read_tables


def read(text: str) -> tuple[Policies, tuple[Route, ...], list[str]]:
    problems: list[str] = []
    tables = read_tables(tomllib.loads(text), "policy.toml", problems)
    return tables.policies, tables.routes, problems


def test_a_definition_without_a_table_is_treated_as_usual() -> None:
    policies, _, _ = read("")

    assert policies.of("1", "k", Policy(retry_deadline=5.0)) == Policy(retry_deadline=5.0)


def test_the_nearest_table_wins() -> None:
    policies, _, problems = read(
        """
        [defaults]
        on_error = "keep"
        when_too_soon = "drop"
        [[definition]]
        customer_key = "k"
        when_too_soon = "defer"
        coalesce = "each"
        [[definition]]
        customer_key = "k"
        mid = 510
        coalesce = "latest"
        """
    )

    here, elsewhere, other = (policies.of(m, k, Policy()) for m, k in (("510", "k"), ("7", "k"), ("510", "other")))
    assert problems == []
    assert (here.on_error, here.when_too_soon, here.coalesce) == ("keep", "defer", "latest")
    assert (elsewhere.when_too_soon, elsewhere.coalesce) == ("defer", "each")
    assert (other.when_too_soon, other.coalesce) == ("drop", "same_name")


def test_a_frequency_of_zero_overrides_that_of_the_definition() -> None:
    policies, _, _ = read('[[definition]]\ncustomer_key = "k"\nmax_import_frequency = 0\n')

    assert policies.of("1", "k", Policy()).frequency == 0


def test_times_may_have_units() -> None:
    policies, _, _ = read('[defaults]\nfollow_deadline = "2d"\nreconcile_deadline = 30\n')

    policy = policies.of("1", "k", Policy())
    assert (policy.follow_deadline, policy.reconcile_deadline) == (172800, 30)


def test_routes_keep_their_order() -> None:
    _, routes, problems = read(
        """
        [[route]]
        pattern = "b*.csv"
        customer_key = "b"
        [[route]]
        pattern = "*.csv"
        customer_key = "all"
        mid = "510"
        name = "the rest"
        """
    )

    assert problems == []
    assert routes == (
        Route(pattern="b*.csv", customer_key="b"),
        Route(pattern="*.csv", customer_key="all", mid="510", name="the rest"),
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "[other]\n",
            f"other: there is no such setting; remove it, or {SEE_TABLES}",
        ),
        (
            '[defaults]\non_eror = "keep"\n',
            "policy.toml [defaults] on_eror: there is no such setting; did you mean on_err",
        ),
        (
            '[defaults]\non_error = "maybe"\n',
            "policy.toml [defaults] on_error: 'maybe': input should be 'free' or 'keep'",
        ),
        ("[[definition]]\nmid = 1\n", "policy.toml [[definition]] 1 customer_key: missing"),
        (f'[[definition]]\ncustomer_key = "{"k" * 37}"\n', "at most 36 characters"),
        ('[definition]\ncustomer_key = "k"\n', "write it in two brackets: [[definition]]"),
        ('defaults = "x"\n', "policy.toml [defaults]: not a table"),
        ('[[definition]]\ncustomer_key = "k"\nmax_import_frequency = -1\n', "greater than or equal to 0"),
        ('[[definition]]\ncustomer_key = "k"\nmid = "BU 1"\n', "not the number of a business unit"),
        ('[[route]]\npattern = "*"\ncustomer_key = "k"\npriority = 10\n', "less than or equal to 9"),
        ('[[route]]\npattern = "*"\ncustomer_key = "k"\nfolder = "[z-a]"\n', "correct the pattern"),
        ('[[route]]\npattern = "re:("\ncustomer_key = "k"\n', "correct the pattern"),
        ('[[route]]\npattern = "re:(?!a)b"\ncustomer_key = "k"\n', "has no look-around and no back references"),
    ],
)
def test_each_problem_says_where_it_stands(text: str, complaint: str) -> None:
    _, _, problems = read(text)

    assert len(problems) == 1
    assert complaint in problems[0]


def test_a_definition_is_given_once() -> None:
    table = '[[definition]]\ncustomer_key = "k"\n'
    _, _, problems = read(table + table)

    assert problems == ["policy.toml [[definition]] k: given twice; keep one"]


def test_a_table_is_found_by_every_spelling_of_its_key() -> None:
    policies, _, problems = read('[[definition]]\ncustomer_key = "Daily"\ncoalesce = "each"\n')

    assert problems == []
    assert [policies.of("1", key, Policy()).coalesce for key in ("DAILY", "daily  ", "Daily")] == ["each"] * 3
    assert policies.definitions == ((None, "Daily"),)


def test_two_spellings_of_one_key_are_one_definition_given_twice() -> None:
    *_, problems = read('[[definition]]\ncustomer_key = "Daily"\n[[definition]]\ncustomer_key = "daily "\n')

    assert problems == ["policy.toml [[definition]] daily : given twice; keep one"]


def test_a_business_unit_is_a_number_whose_leading_zeros_do_not_count() -> None:
    policies, routes, _ = read(
        """
        [[definition]]
        customer_key = "k"
        mid = "00510"
        coalesce = "each"
        [[route]]
        pattern = "*.csv"
        customer_key = "k"
        mid = "0510"
        """
    )

    assert policies.of("510", "k", Policy()).coalesce == "each"
    assert routes[0].mid == "510"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[[source]]\nkind = "stream"\n', "policy.toml [[source]] 1 name: missing"),
        ('[[source]]\nname = "A b"\nkind = "stream"\n', "up to 40 small letters, digits and dashes"),
        ('[[source]]\nname = "a"\n', "policy.toml [[source]] 1 kind: missing"),
        ('[source]\nname = "a"\n', "write it in two brackets: [[source]]"),
        ('[[source]]\nname = "a"\nkind = "x"\n' * 2, "policy.toml [[source]] a: given twice"),
    ],
)
def test_each_source_has_a_name_of_its_own_and_a_kind(text: str, complaint: str) -> None:
    _, _, problems = read(text)
    assert any(complaint in each for each in problems), problems


def test_a_route_has_the_preflight_that_its_table_says() -> None:
    _, routes, problems = read(
        '[[route]]\npattern = "a"\ncustomer_key = "k"\n[[route]]\npattern = "b"\ncustomer_key = "k"\n'
        'preflight = {rows = 5, encoding = "latin-1", empty = "run", columns = ["A", ""]}\n'
    )

    assert problems == []
    assert routes[0].preflight is None
    assert routes[1].preflight == Preflight(rows=5, encoding="iso8859-1", empty="run", columns=("A", ""))


@pytest.mark.parametrize("line", ['encoding = "base64"', 'encoding = "x"', 'empty = "drop"', "rows = -1", "row = 1"])
def test_a_preflight_that_cannot_be_is_one_line(line: str) -> None:
    _, _, problems = read(f'[[route]]\npattern = "a"\ncustomer_key = "k"\npreflight = {{{line}}}\n')

    assert len(problems) == 1
    assert f"[[route]] 1 preflight {line.split(maxsplit=1)[0]}: " in problems[0]


def test_the_order_between_definitions_is_read() -> None:
    policies, _, problems = read(
        """
        [[definition]]
        customer_key = "Orders"
        after = ["Contacts", "Products"]
        after_since = "06:30"
        """
    )

    policy = policies.of("510", "orders", Policy())
    assert (problems, policy.after, policy.after_since) == ([], ("Contacts", "Products"), time(6, 30))


@pytest.mark.parametrize(
    ("pairs", "circle"),
    [
        ([("a", ["a"])], "a after a"),
        ([("a", ["B"]), ("b", ["c"]), ("c", ["A "])], "a after b after c after a"),
    ],
)
def test_a_circle_is_refused_and_named(pairs: list[tuple[str, list[str]]], circle: str) -> None:
    text = "".join(f"[[definition]]\ncustomer_key = {key!r}\nafter = {after!r}\n" for key, after in pairs)
    _, _, problems = read(text)

    assert f"policy.toml [[definition]] a after: {circle} is a circle, so none would start; break it" in problems


def test_what_the_defaults_let_come_after_itself_is_refused_and_named() -> None:
    _, _, problems = read('[defaults]\nafter = ["Contacts"]\n')

    circle = "contacts after contacts is a circle, so none would start; break it"
    assert problems == [f"policy.toml [defaults] after: {circle}"]


def test_a_circle_through_the_defaults_is_refused_and_named() -> None:
    _, _, problems = read(
        """
        [defaults]
        after = ["contacts"]
        [[definition]]
        customer_key = "contacts"
        after = ["Orders"]
        """
    )

    circle = "is a circle, so none would start; break it"
    assert problems == [
        f"policy.toml [[definition]] contacts after: contacts after orders after contacts {circle}",
        f"policy.toml [defaults] after: orders after contacts after orders {circle}",
    ]


def test_a_circle_of_one_business_unit_is_refused_and_named() -> None:
    _, _, problems = read(
        """
        [[definition]]
        customer_key = "contacts"
        mid = "1"
        after = ["orders"]
        [[definition]]
        customer_key = "orders"
        after = ["contacts"]
        [[definition]]
        customer_key = "contacts"
        mid = "2"
        after = []
        """
    )

    circle = "in business unit 1 is a circle, so none would start; break it"
    assert problems == [
        f"policy.toml [[definition]] contacts after: contacts after orders after contacts {circle}",
        f"policy.toml [[definition]] orders after: orders after contacts after orders {circle}",
    ]


def test_tables_of_different_business_units_make_no_circle() -> None:
    _, _, problems = read(
        """
        [[definition]]
        customer_key = "contacts"
        mid = "1"
        after = ["orders"]
        [[definition]]
        customer_key = "orders"
        mid = "2"
        after = ["contacts"]
        """
    )

    assert problems == []


def test_one_that_the_others_come_after_may_come_after_nothing() -> None:
    _, _, problems = read(
        """
        [defaults]
        after = ["Contacts"]
        [[definition]]
        customer_key = "contacts"
        after = []
        """
    )

    assert problems == []


def test_one_that_the_others_come_after_may_come_after_nothing_in_the_unit_that_its_table_names() -> None:
    _, _, problems = read(
        """
        [defaults]
        after = ["A"]
        [[definition]]
        customer_key = "A"
        mid = "5100"
        after = []
        """
    )

    assert problems == []


def test_two_that_wait_for_the_same_one_are_no_circle() -> None:
    _, _, problems = read(
        """
        [[definition]]
        customer_key = "a"
        after = ["b", "c"]
        [[definition]]
        customer_key = "b"
        after = ["c"]
        """
    )

    assert problems == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('[[definition]]\ncustomer_key = "a"\nafter_since = "06:00"\n', "[[definition]] a"),
        ('[defaults]\nafter_since = "06:00"\n', "[defaults]"),
        ('[defaults]\nafter_since = "06:00"\n[[definition]]\ncustomer_key = "a"\nafter = ["b"]\n', ""),
        (
            """
            definition = [
                {customer_key = "a", after = ["b"]}, {customer_key = "A", mid = "5", after_since = "06:00"}
            ]
            """,
            "",
        ),
    ],
)
def test_a_time_since_which_runs_count_is_wrong_without_what_must_run(text: str, wrong: str) -> None:
    _, _, problems = read(text)

    line = f"policy.toml {wrong} after_since: there is no after that it goes with; add it, or remove this"
    assert problems == ([line] if wrong else [])


def test_what_others_wait_for_is_known_with_their_business_unit() -> None:
    policies, _, _ = read('[[definition]]\ncustomer_key = "a"\nmid = "5"\nafter = ["b", "C"]\n')

    assert policies.first == [("5", "b"), ("5", "C")]


GROUPS = '[[group]]\nname = "nightly"\nmax_running = 2\n'


def test_a_group_limits_the_runs_of_its_definitions_and_the_setting_those_of_all() -> None:
    policies, _, problems = read(GROUPS + '[[definition]]\ncustomer_key = "k"\ngroup = "nightly"\n')

    usual = Policy(max_running=5)
    assert problems == []
    assert policies.of("1", "k", usual).limits == (("*", 5), ("nightly", 2))
    assert policies.of("1", "k", Policy()).limits == (("nightly", 2),)
    assert policies.of("1", "other", usual).limits == (("*", 5),)
    assert policies.of("1", "other", Policy()).limits == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            '[defaults]\ngroup = "nightyl"\n' + GROUPS,
            "[defaults] group: there is no [[group]] nightyl; did you mean nightly?",
        ),
        (
            '[[definition]]\ncustomer_key = "k"\ngroup = "weekly"\n',
            "[[definition]] k group: there is no [[group]] weekly; add a [[group]] with this name",
        ),
        (GROUPS + GROUPS, "[[group]] nightly: given twice; keep one"),
        ('[[group]]\nname = "a b"\nmax_running = 1\n', "[[group]] 1 name: "),
        ('[[group]]\nname = "a"\nmax_running = 0\n', "[[group]] 1 max_running: "),
        ('[[group]]\nname = "a"\n', "[[group]] 1 max_running: "),
    ],
)
def test_a_group_that_limits_nothing_is_refused(text: str, problem: str) -> None:
    _, _, problems = read(text)

    assert any(line.startswith(f"policy.toml {problem}") for line in problems), problems

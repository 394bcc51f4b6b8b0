"""What `doctor` says about the dates of FileSpec: no document says in which time zone they are read."""

from datetime import UTC, datetime

from sfmc_import.cli.doctor import check_dates, check_unknown_parts
from sfmc_import.runs import Definition
from sfmc_import.settings import load

DATED = Definition(customer_key="k", file_spec="x_%%DAY%%.csv")
PLAIN = Definition(customer_key="p", file_spec="x.csv")
NOW = datetime(2026, 3, 1, 5, 30, tzinfo=UTC).timestamp()


def test_a_zone_that_no_one_chose_is_a_warning_with_what_it_means_today() -> None:
    [finding] = check_dates("510", load({}), [DATED, PLAIN, Definition(customer_key="n")], NOW)

    assert finding.level == "warn"
    assert "1 FileSpecs have a date, which means 2026-02-28 now" in finding.text
    assert "Etc/GMT+6" in finding.text
    assert "SFMC_TIME_ZONE" in finding.fix


def test_a_zone_that_was_chosen_is_said_once() -> None:
    [finding] = check_dates("510", load({"SFMC_TIME_ZONE": "Europe/Berlin"}), [DATED], NOW)

    assert (finding.level, finding.fix) == ("ok", "")
    assert "Europe/Berlin" in finding.text


def test_without_dates_there_is_nothing_to_say() -> None:
    assert list(check_dates("510", load({}), [PLAIN], NOW)) == []


def test_definitions_whose_file_spec_cannot_be_compared_as_a_whole_are_named_with_the_parts() -> None:
    unclear = [Definition(customer_key=f"u{number}", file_spec="a_%%HOUR%%.csv") for number in range(7)]
    [finding] = check_unknown_parts("510", [DATED, PLAIN, *unclear])

    assert finding.level == "warn"
    assert "u0 (%%HOUR%%)" in finding.text
    assert finding.text.endswith("u4 (%%HOUR%%) …")


def test_wildcards_and_known_dates_are_nothing_to_say() -> None:
    known = Definition(customer_key="w", file_spec="a_%%DAY%%_*.csv")

    assert list(check_unknown_parts("510", [DATED, PLAIN, known])) == []

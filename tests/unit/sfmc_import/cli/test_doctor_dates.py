"""What `doctor` says about the dates of FileSpec: no document says in which time zone they are read."""

from sfmc_import.cli.doctor import check_dates
from sfmc_import.runs import Definition
from sfmc_import.settings import load

DATED = Definition(customer_key="k", file_spec="x_%%DAY%%.csv")
PLAIN = Definition(customer_key="p", file_spec="x.csv")


def test_a_zone_that_no_one_chose_is_a_warning_with_what_it_means_today() -> None:
    [finding] = check_dates("510", load({}), [DATED, PLAIN, Definition(customer_key="n")])

    assert finding.level == "warn"
    assert "1 FileSpecs have a date" in finding.text
    assert "Etc/GMT+6" in finding.text
    assert "SFMC_TIME_ZONE" in finding.fix


def test_a_zone_that_was_chosen_is_said_once() -> None:
    [finding] = check_dates("510", load({"SFMC_TIME_ZONE": "Europe/Berlin"}), [DATED])

    assert (finding.level, finding.fix) == ("ok", "")
    assert "Europe/Berlin" in finding.text


def test_without_dates_there_is_nothing_to_say() -> None:
    assert list(check_dates("510", load({}), [PLAIN])) == []

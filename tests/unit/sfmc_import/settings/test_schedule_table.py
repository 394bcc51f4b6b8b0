"""The lines of a [[source]] of kind `schedule`, as the settings read them, doctor shows them and sources leave them."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sfmc_import.cli.doctor import check_schedules
from sfmc_import.errors import SettingsError
from sfmc_import.settings import Settings, load
from sfmc_producers.sources.tables import chosen

NIGHTLY = '[[source]]\nname = "nightly"\nkind = "schedule"\ncron = "30 5 * * *"\ncustomer_key = "k"\n'
STREAM = '[[source]]\nname = "drop"\nkind = "stream"\nkey = "k"\n'

Read = Callable[..., Settings]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read_text(text: str, **env: str) -> Settings:
        (tmp_path / "p.toml").write_text(text)
        return load({"SFMC_CONFIG": str(tmp_path / "p.toml"), **env})

    return read_text


def test_a_schedule_has_the_time_zone_of_the_account_unless_it_names_one(read: Read) -> None:
    zone = {"SFMC_TIME_ZONE": "America/Denver"}
    [usual] = read(NIGHTLY, **zone).schedules
    [own] = read(NIGHTLY + 'time_zone = "Europe/Berlin"', **zone).schedules

    assert (usual.source, usual.cron, usual.time_zone) == ("nightly", ("30 5 * * *",), "America/Denver")
    assert (usual.missed, usual.missed_within) == ("once", 3600.0)
    assert own.time_zone == "Europe/Berlin"


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ('cron = "61 5 * * *"', "nightly cron: '61 5 * * *': not a line of cron: bad minute; expected: a line of cron"),
        ('cron = "5 * * *"', "4 fields instead of 5"),
        ('cron = ["1 1 * * *", "x 1 * * *"]', "bad minute"),
        ("cron = []", "nightly cron: []:"),
        ("cron = 5", "nightly cron: 5:"),
        ('cron = "* * * * *"\ntime_zone = "Mars/Base"', "not a time zone of the IANA list"),
        ('cron = "* * * * *"\nmissed = "twice"', "nightly missed: 'twice'"),
        ('cron = "* * * * *"\nmissed_within = "8d"', "nightly missed_within: '8d'"),
        ('cron = "* * * * *"\nmissed_within = "1s"', "nightly missed_within: '1s'"),
        ('cron = "* * * * *"\ncorn = 1', "corn: there is no such setting; did you mean cron?"),
        ('cron = "* * * * *"\n[[source.route]]\npattern = "a"', "route: there is no such setting"),
        ("", "nightly cron: missing"),
    ],
)
def test_a_wrong_line_is_said_once_when_the_settings_are_read(read: Read, lines: str, complaint: str) -> None:
    text = '[[source]]\nname = "nightly"\nkind = "schedule"\ncustomer_key = "k"\n' + lines
    with pytest.raises(SettingsError) as caught:
        read(text)

    [line] = caught.value.problems
    assert complaint in line
    assert "\n" not in line


def test_the_definition_is_needed(read: Read) -> None:
    with pytest.raises(SettingsError, match="customer_key: missing"):
        read(NIGHTLY.replace('customer_key = "k"\n', ""))


def test_doctor_says_when_each_schedule_is_next_and_of_which_the_business_unit_is_missing(read: Read) -> None:
    settings = read(NIGHTLY, SFMC_TIME_ZONE="Europe/Berlin")
    missing, at = check_schedules(settings, datetime(2026, 5, 1, 12, tzinfo=UTC))

    assert (missing.level, at.level) == ("fail", "ok")
    assert "nightly mid: missing" in missing.text
    assert at.text == "nightly: beat starts k next at 2026-05-02 05:30 CEST"
    [only] = check_schedules(read(NIGHTLY, SFMC_ACCOUNT_ID="510001234"), datetime(2026, 5, 1, tzinfo=UTC))
    assert only.level == "ok"


def test_a_login_that_cannot_choose_the_business_unit_of_a_schedule_is_a_problem(read: Read) -> None:
    env = {"SFMC_ACCOUNT_ID": "1", "SFMC_USERNAME": "u", "SFMC_PASSWORD": "p"}
    with pytest.raises(SettingsError, match="cannot choose the business unit 7"):
        read(NIGHTLY + "mid = 7\n", **env)


def test_source_and_sources_leave_schedules_to_beat(read: Read) -> None:
    both = read(NIGHTLY + STREAM)

    assert [table.name for table in chosen(both, [])] == ["drop"]
    with pytest.raises(SettingsError, match="source nightly: beat runs schedules"):
        chosen(both, ["drop", "nightly"])
    with pytest.raises(SettingsError, match=r"only schedules \(nightly\), which beat runs"):
        chosen(read(NIGHTLY), [])

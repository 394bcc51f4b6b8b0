"""Plots, times and texts of the pages: nothing from outside is markup, and each has its words."""

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest

from sfmc_import.operations.activity import HOURS, LIMITS, Hour
from sfmc_server.console import plots
from sfmc_server.console.rendering import Plain, age, ago, moment, pretty, shown, until

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
EVIL = "<script>\"&'</script>"


def hours(**counts: int) -> list[Hour]:
    return [Hour(**counts)] + [Hour()] * (HOURS - 1)


@pytest.mark.parametrize(
    "made",
    [
        plots.bars(hours(completed=3, failed=1), EVIL),
        plots.bars([Hour()] * HOURS, EVIL),
        plots.columns([5, *[0] * (HOURS - 1)], NOW, EVIL, "run"),
        plots.columns([0] * HOURS, NOW, EVIL, "run"),
        plots.curves([(EVIL, "run", [0.5, None, float("inf")])], NOW, EVIL, "s"),
        plots.curves([("half", "run", [None] * HOURS)], NOW, EVIL, "s"),
        plots.strip([(EVIL, "wait", 5.0), ("b", "run", 0.0)], EVIL),
        plots.strip([], EVIL),
    ],
)
def test_a_plot_is_well_formed_has_a_name_and_takes_no_text_for_markup(made: str) -> None:
    picture = ET.fromstring(made)

    assert picture.get("role") == "img"
    assert picture.get("aria-label", "").startswith(EVIL)
    assert picture.find(".//script") is None
    assert "style=" not in made


def test_a_bar_is_as_high_as_its_share_of_the_greatest_hour_and_a_single_failure_is_seen() -> None:
    picture = ET.fromstring(plots.bars([Hour(completed=1000, failed=1), *[Hour()] * 23], "a"))
    paths = {each.get("class"): each.get("d", "") for each in picture}

    assert paths["good"] == "M0 24v-21.98h5v21.98z"
    assert paths["bad"] == "M0 2.022v-2h5v2z"
    assert paths["none"].count("z") == 23


def test_the_greatest_class_of_waits_is_called_more_than_its_limit() -> None:
    assert LIMITS[-1] == float("inf")
    assert "more than 12 h" in plots.curves([("half", "run", [float("inf")])], NOW, "a", "s")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 ms"), (0.25, "250 ms"), (-5, "0 ms"), (59, "59 s"), (61, "1 min 1 s"), (3600, "1 h"), (90_000, "1 d 1 h")],
)
def test_a_duration_is_short(seconds: float, text: str) -> None:
    assert age(seconds) == text


def test_times_are_for_people_and_for_programs() -> None:
    later = NOW + timedelta(minutes=5)

    assert ">in 5 min<" in ago(later, NOW)
    assert ">5 min ago<" in ago(NOW, later)
    assert 'datetime="2026-11-28T12:00:00+00:00"' in moment(NOW)
    assert (ago(None, NOW), moment(None), until(NOW, later)) == ("-", "-", "now")


def test_what_a_page_shows_is_one_line_without_hidden_characters() -> None:
    assert shown("a\u202eb\nc\x1b[31m\0") == r"a\u202eb\nc\x1b[31m\x00"
    assert shown(None) == ""
    assert isinstance(pretty({"a": "\u202e"}), Plain)
    assert r"\u202e" in pretty({"a": "\u202e"})
    assert pretty("x" * 30_000).endswith("more characters")

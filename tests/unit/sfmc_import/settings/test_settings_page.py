"""The page that lists the settings is complete and true."""

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from sfmc_import.settings.load import FROM_FILE, load
from sfmc_import.settings.model import Settings
from sfmc_import.settings.policy_file import DefinitionTable

PAGE = (Path(__file__).parents[4] / "ops" / "docs" / "settings.md").read_text()
ROWS = dict(re.findall(r"^\| `SFMC_(\w+)` \| `?([^|`]*)`? \|", PAGE, re.MULTILINE))
VARIABLES = sorted(set(Settings.model_fields) - FROM_FILE)


def test_it_has_a_row_for_every_variable_and_no_other():
    assert sorted(name.lower() for name in ROWS) == VARIABLES


@pytest.mark.parametrize("field", VARIABLES)
def test_a_row_tells_the_default_and_the_meaning(field):
    default = Settings.model_fields[field].get_default()
    shown = "-" if default is None or default == "" or isinstance(default, SecretStr) else default

    assert ROWS[field.upper()].strip() == shown_as(shown)
    assert Settings.model_fields[field].description in PAGE


def shown_as(value):
    return str(int(value)) if isinstance(value, float) and value == int(value) else str(value)


def test_the_policy_file_shown_is_accepted_and_names_every_key(tmp_path):
    example = PAGE.partition("```toml\n")[2].partition("```")[0]
    everything = re.sub(r"^# (?=\w+ =)", "", example, flags=re.MULTILINE)
    (tmp_path / "sfmc-import.toml").write_text(everything)

    settings = load({"SFMC_CONFIG": str(tmp_path / "sfmc-import.toml")})

    assert settings.policies.definitions == (("510001234", "Daily_Orders"),)
    assert settings.routes[0].customer_key == "Orders_{1}"
    for key in (*DefinitionTable.model_fields, "pattern"):
        assert re.search(rf"^{key} =", everything, re.MULTILINE), key

"""Which CustomerKeys of the policy file `doctor` looks for."""

from pathlib import Path

from sfmc_import.cli.doctor import named
from sfmc_import.settings import load


def test_a_definition_that_others_wait_for_is_looked_for_in_their_business_unit(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(
        """
        [defaults]
        after = ["All"]
        [[definition]]
        customer_key = "Orders"
        mid = "7"
        after = ["Contacts"]
        [[definition]]
        customer_key = "All"
        after = []
        """
    )
    found = named(load({"SFMC_ACCOUNT_ID": "5", "SFMC_CONFIG": str(policy)}))

    assert found == {"5": ["All"], "7": ["Orders", "Contacts"]}

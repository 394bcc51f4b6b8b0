"""`sfmc-import notify` where nothing is sent: a new secret, and what is said without a policy file."""

from click.testing import CliRunner

from sfmc_import.cli.notify import notify_group
from sfmc_import.notifications.webhook import read_key


def test_a_new_secret_is_one_that_a_webhook_takes_and_no_two_are_alike() -> None:
    first, second = (CliRunner().invoke(notify_group, ["secret"]).stdout.strip() for _ in range(2))

    assert len(read_key(first)) == 32
    assert first != second

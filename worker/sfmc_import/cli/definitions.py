"""`sfmc-import definitions`: what processes keep of definitions."""

import click

from sfmc_import.cli.completing import complete_key
from sfmc_import.cli.opening import given_mid, open_operations
from sfmc_import.cli.operate import mid_option, operator_option
from sfmc_import.cli.output import examples, json_option, print_json, print_line


@click.group(
    "definitions",
    epilog=examples("sfmc-import definitions refresh Daily_Orders", "sfmc-import definitions refresh"),
    short_help="Let definitions be read again.",
)
def definitions_group() -> None:
    """Let definitions be read again that were changed in Marketing Cloud."""


@definitions_group.command(short_help="Let all processes read a definition again, or all.")
@click.argument("customer_key", metavar="[KEY]", required=False, shell_complete=complete_key)
@mid_option
@operator_option
@json_option
def refresh(customer_key: str | None, *, mid: str | None, operator: str | None, as_json: bool) -> None:
    """Let all processes read a definition (KEY) again, or all of the business unit.

    Without it a change is seen within SFMC_DEFINITION_CHECK_TTL (10 s) by a start, and within SFMC_DEFINITION_TTL
    (5 min) by everything else. A process knows of it within a second.

    Exit code: 0, or 1 if Redis does not answer.
    """
    with open_operations(operator) as operations:
        done = operations.refresh(customer_key, given_mid(mid))
    if as_json:
        print_json(done.model_dump(mode="json"))
    else:
        what = "all definitions" if done.customer_key is None else done.customer_key
        print_line(f"read again when needed next: {what} of business unit {done.mid}")
        if done.hint:
            print_line(f"  {done.hint}")

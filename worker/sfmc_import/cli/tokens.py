"""`sfmc-import tokens`: makes, lists and revokes tokens of the HTTP API."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import click

from sfmc_import.access import ReadAccess, open_for_reading, unused_api
from sfmc_import.cli.opening import login
from sfmc_import.cli.output import examples, json_option, print_json, print_line
from sfmc_import.operations import tokens
from sfmc_import.settings import load


@click.group(
    "tokens",
    epilog=examples(
        "sfmc-import tokens add ann --role operator",
        "sfmc-import tokens add shop --role source --source shop-bucket",
        "sfmc-import tokens revoke ann",
    ),
    short_help="Make, list and revoke tokens of the HTTP API.",
)
def tokens_group() -> None:
    """Make, list and revoke tokens of the HTTP API (`sfmc-import serve`).

    A role says what a token may do. viewer: read everything. operator: also cancel, replay, resolve, force, pause.
    source: submit requests, and show its own. Redis keeps a hash of each token, never the token.
    """


@contextmanager
def _open() -> Iterator[ReadAccess]:
    """Open Redis with the settings of the environment, and say which one where an API is set as well."""
    settings = load(os.environ)
    if note := unused_api(settings, "tokens"):
        print_line(f"note: {note}", err=True)
    with open_for_reading(settings) as access:
        yield access


@tokens_group.command(short_help="Make a token and print it, this once.")
@click.argument("name")
@click.option("--role", type=click.Choice(list(tokens.ROLES)), required=True, help="What the token may do.")
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="NAME",
    help="Of the role source: a source that it may set records aside for; may be given several times.  [default: any]",
)
@json_option
def add(name: str, *, role: str, sources: tuple[str, ...], as_json: bool) -> None:
    """Make a token and print it. It cannot be shown again.

    Give a token of the role source its --source: without it the token may set records aside for any source.

    Exit code: 0, 1 there is a token of this name, 2 it is no name.
    """
    with _open() as access:
        token = tokens.add(access, name, cast("tokens.Role", role), login(), sources)
    if role == "source" and not sources:
        print_line("note: it may set records aside for any source; --source NAME limits it", err=True)
    # Printed past the masks: this is the one time that it is shown.
    click.echo(f'{{"name": "{name}", "role": "{role}", "token": "{token}"}}' if as_json else token)


@tokens_group.command("list", short_help="List all tokens: name, role, since when, made by whom.")
@json_option
def list_all(*, as_json: bool) -> None:
    """List all tokens, without the tokens themselves."""
    with _open() as access:
        found = tokens.listed(access)
    for each in found:
        if as_json:
            print_json(each.model_dump(mode="json"))
        else:
            print_line(f"{each.name}  {each.role}{_for_sources(each)}")
            print_line(f"  since {each.created_at:%Y-%m-%d %H:%M:%S} UTC, by {each.created_by}")
    if not found and not as_json:
        print_line("there are no tokens")


def _for_sources(token: tokens.TokenView) -> str:
    if token.role != "source":
        return ""
    return f", for {', '.join(token.sources)}" if token.sources else ", for any source"


@tokens_group.command(short_help="Let a token count no more.")
@click.argument("name")
def revoke(name: str) -> None:
    """Let a token count no more, from now on.

    Exit code: 0 revoked, 1 there is no such token.
    """
    with _open() as access:
        tokens.revoke(access, name)
    print_line(f"revoked: {name}")

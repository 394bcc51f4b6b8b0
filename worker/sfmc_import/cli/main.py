"""The command `sfmc-import`: which subcommands there are and how errors end; each loads its code when it is called."""

import sys

import click

from sfmc_import.cli.lazy_group import LazyGroup, Subcommand
from sfmc_import.cli.mistakes import ErrorLines, error_lines

COMMANDS = {
    "Try it": {
        "demo": Subcommand("sfmc_local.cli:demo", "Everything on this machine: files in, imports out, live."),
        "sandbox": Subcommand("sfmc_sandbox.cli:sandbox", "A local stand-in for Marketing Cloud's import service."),
    },
    "Run it": {
        "worker": Subcommand("sfmc_import.cli.run:worker", "Start imports and follow them to their end."),
        "beat": Subcommand("sfmc_import.cli.run:beat", "Wake what is due; any number may run."),
        "watch": Subcommand("sfmc_producers.cli:watch", "Announce files that arrive in folders."),
    },
    "Use it": {
        "start": Subcommand("sfmc_producers.cli:start", "Ask for the start of one ImportDefinition."),
        "follow": Subcommand("sfmc_import.cli.inspect:follow", "Follow one run to its end, also after a time-out."),
        "status": Subcommand("sfmc_import.cli.inspect:status", "Where a definition, a request or the whole stands."),
        "events": Subcommand("sfmc_import.cli.inspect:events", "What happened, and what happens now."),
    },
    "Keep it well": {
        "doctor": Subcommand("sfmc_import.cli.doctor:doctor", "Look at Redis, login and definitions; say how to mend."),
        "dead-letters": Subcommand(
            "sfmc_import.cli.repair:dead_letters_group", "Messages set aside: look, put back, drop."
        ),
        "resolve": Subcommand("sfmc_import.cli.repair:resolve", "Say what became of a start that could not be proved."),
        "health": Subcommand("sfmc_import.cli.run:health", "Whether the worker of this container lives."),
    },
}

EPILOG = """\b
Settings are environment variables SFMC_…, files in /run/secrets and sfmc-import.toml.
A first look, with nothing but this command:  sfmc-import demo
Exit codes: 0 success, 1 failure, 2 usage or settings error.
"""


@click.group(
    cls=LazyGroup,
    sections=COMMANDS,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="sfmc-import", message="%(package)s %(version)s")
def cli() -> None:
    """Start imports of Salesforce Marketing Cloud when files arrive: once, not too often, and followed to the end."""


def main() -> None:
    """Run the command and end the process; what a user can mend is told in plain lines, never as a traceback."""
    try:
        sys.exit(cli.main(prog_name="sfmc-import", standalone_mode=False) or 0)
    except Exception as error:  # the edge of the process
        answer = error_lines(error)
        if answer is None:
            raise
        _end(answer)


def _end(answer: ErrorLines) -> None:
    for line in answer.lines:
        click.echo(line, err=True)
    sys.exit(answer.exit_code)

"""The command `sfmc-import`: which subcommands there are and how errors end; each loads its code when it is called."""

import sys

import click

from worker.cli.commands import LazyGroup, Subcommand
from worker.cli.mistakes import Told, told

COMMANDS = {
    "Try it": {
        "demo": Subcommand("ops.demo.cli:demo", "Everything on this machine: files in, imports out, live."),
        "sandbox": Subcommand("ops.sandbox.cli:sandbox", "A local stand-in for Marketing Cloud's import service."),
    },
    "Run it": {
        "worker": Subcommand("worker.cli.processes:worker", "Start imports and follow them to their end."),
        "beat": Subcommand("worker.cli.processes:beat", "Wake what is due; any number may run."),
        "watch": Subcommand("producers.cli:watch", "Announce files that arrive in folders."),
    },
    "Use it": {
        "start": Subcommand("producers.cli:start", "Ask for the start of one ImportDefinition."),
        "follow": Subcommand("worker.cli.follow:follow", "Follow one run to its end, also after a time-out."),
        "status": Subcommand("worker.cli.status:status", "Where a definition, a request or the whole stands."),
        "events": Subcommand("worker.cli.events:events", "What happened, and what happens now."),
    },
    "Keep it well": {
        "doctor": Subcommand("worker.cli.doctor:doctor", "Look at Redis, login and definitions; say how to mend."),
        "dead-letters": Subcommand("worker.cli.dead_letters:letters", "Messages set aside: look, put back, drop."),
        "resolve": Subcommand("worker.cli.resolve:resolve", "Say what became of a start that could not be proved."),
        "health": Subcommand("worker.cli.health:health", "Whether the worker of this container lives."),
    },
}

EPILOG = """\b
Settings are environment variables SFMC_…, files in /run/secrets and sfmc-import.toml.
A first look, with nothing but this command:  sfmc-import demo
Exit codes: 0 as wished, 1 not as wished, 2 wrong use or wrong settings.
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
        answer = told(error)
        if answer is None:
            raise
        _end(answer)


def _end(answer: Told) -> None:
    for line in answer.lines:
        click.echo(line, err=True)
    sys.exit(answer.exit_code)

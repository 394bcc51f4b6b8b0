"""`sfmc-import completion`: prints what a shell needs to complete commands, options and definitions."""

import click

from sfmc_import.cli.output import examples, print_script
from sfmc_import.cli.shells import Bash, Fish, Zsh

PROGRAM = "sfmc-import"
VARIABLE = "_SFMC_IMPORT_COMPLETE"
KINDS = {"bash": Bash, "zsh": Zsh, "fish": Fish}


@click.command(
    epilog=examples(
        "# bash",
        "echo 'eval \"$(sfmc-import completion bash)\"' >>~/.bashrc",
        "# zsh",
        "echo 'eval \"$(sfmc-import completion zsh)\"' >>~/.zshrc",
        "# fish",
        "sfmc-import completion fish >~/.config/fish/completions/sfmc-import.fish",
    )
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script with which a shell completes commands, options and keys of definitions.

    Keys are those of the policy file and those that requests were for. If Redis or the API does not answer within
    2 seconds, only those of the policy file are offered, and nothing is said.

    Exit code: 0, or 2 for another shell.
    """
    # As it is: a line that is broken to the width of a terminal is another script.
    print_script(KINDS[shell](context.find_root().command, {}, PROGRAM, VARIABLE).source())

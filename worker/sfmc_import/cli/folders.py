"""`sfmc-import folders`: the folders that watchers read, and those that no watcher shall read any more."""

import click

from sfmc_import.cli.folder_lines import folder_lines
from sfmc_import.cli.opening import open_operations
from sfmc_import.cli.operate import operator_option
from sfmc_import.cli.output import examples, json_option, print_json, print_line, print_lines


@click.group(
    "folders",
    epilog=examples("sfmc-import folders list", "sfmc-import folders forget /data/in"),
    short_help="Show watched folders, or forget one.",
)
def folders_group() -> None:
    """Show the folders that watchers read or have read, or forget one that no watcher shall read any more."""


@folders_group.command("list", short_help="List folders with their state, and the files that wait in them.")
@json_option
def list_folders(*, as_json: bool) -> None:
    """List each folder with its state, those in trouble first, and the files that wait in it.

    A folder that was read within two weeks and that no watcher reads now is listed too.

    Exit code: 0, or 1 if Redis does not answer.
    """
    with open_operations() as operations:
        found = operations.folders()
    if as_json:
        for each in found:
            print_json(each.model_dump(mode="json"))
        return
    print_lines(folder_lines(found))
    if not found:
        print_line("no folder was watched within two weeks")


@folders_group.command(short_help="Forget a folder that no watcher shall read any more.")
@click.argument("name", metavar="NAME")
@operator_option
@json_option
def forget(name: str, *, operator: str | None, as_json: bool) -> None:
    """Forget a folder, by its location or its path, that no watcher shall read any more.

    Also for one that lies on another file system for good: what it was before is forgotten. A folder that a process
    still reads is refused: stop the process first.

    Exit code: 0, or 1 if no watcher has read such a folder, a process reads it, or Redis does not answer.
    """
    with open_operations(operator) as operations:
        done = operations.forget_folder(name)
    if as_json:
        print_json(done.model_dump(mode="json"))
    else:
        print_line(f"forgotten: {done.location}")

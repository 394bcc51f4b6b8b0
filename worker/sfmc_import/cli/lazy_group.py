"""A click group that loads a subcommand when it is called, so that help stays quick; knows no subcommand itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import click


@dataclass(frozen=True, slots=True)
class Subcommand:
    """Where the click command lives, as module:attribute, and the line of help shown without loading it."""

    place: str
    summary: str


class LazyGroup(click.Group):
    """Subcommands in sections; only the one that is called is imported."""

    def __init__(self, *args: Any, sections: Mapping[str, Mapping[str, Subcommand]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sections = sections
        self._all = {name: each for section in sections.values() for name, each in section.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Give all names in the order of the sections."""
        return list(self._all)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Load one subcommand; None for an unknown name."""
        if cmd_name not in self._all:
            return None
        module, _, attribute = self._all[cmd_name].place.partition(":")
        try:
            command: click.Command = getattr(import_module(module), attribute)
        except ModuleNotFoundError as error:
            raise _not_installed(cmd_name, module, error) from error
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command to run, and guess what a mistyped name meant."""
        if args and args[0] not in self._all and not args[0].startswith("-"):
            ctx.fail(_unknown(args[0], list(self._all)))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the list of subcommands by section."""
        for title, section in self._sections.items():
            with formatter.section(title):
                formatter.write_dl([(name, each.summary) for name, each in section.items()], col_max=12)


def _not_installed(name: str, module: str, error: ModuleNotFoundError) -> Exception:
    missing = error.name or ""
    if missing.partition(".")[0] in {"worker", "producers"}:
        return error
    return click.ClickException(
        f"{name} needs {missing or module}, which is not installed; install the extra: sfmc-import[demo]"
    )


def _unknown(name: str, known: list[str]) -> str:
    # Only needed after a mistake, and 8 ms of start-up otherwise.
    from difflib import get_close_matches  # noqa: PLC0415

    near = get_close_matches(name, known, n=1)
    return f"there is no command {name!r}" + (f"; did you mean {near[0]}?" if near else "; see sfmc-import --help")

"""A click group that loads a subcommand when it is called, so that help is quick."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import click
from click.shell_completion import CompletionItem


@dataclass(frozen=True, slots=True)
class Subcommand:
    """A function that imports the click command, and the line of help that is shown without it."""

    load: Callable[[], click.Command]
    summary: str


class LazyGroup(click.Group):
    """Subcommands in sections; only the one that is called is imported."""

    def __init__(self, *args: Any, sections: Mapping[str, Mapping[str, Subcommand]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._sections = sections
        for section in sections.values():
            # click needs only the names: to list them, to complete them, and to guess what a mistyped one meant.
            self.commands.update(dict.fromkeys(section))  # type: ignore[arg-type]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Load one subcommand; None for an unknown name."""
        found = next((section[cmd_name] for section in self._sections.values() if cmd_name in section), None)
        return found.load() if found else None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a name of a subcommand or an option; none is loaded for it."""
        named = ((name, each.summary) for section in self._sections.values() for name, each in section.items())
        found = [CompletionItem(name, help=text) for name, text in named if name.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the list of subcommands by section."""
        for title, section in self._sections.items():
            with formatter.section(title):
                formatter.write_dl([(name, each.summary) for name, each in section.items()], col_max=12)

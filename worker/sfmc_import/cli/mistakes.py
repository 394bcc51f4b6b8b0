"""Turns errors that a user can mend into lines and an exit code, without importing the libraries they come from."""

import os
from collections.abc import Callable
from dataclasses import dataclass

import click


@dataclass(frozen=True, slots=True)
class ErrorLines:
    """What to say on standard error, and the exit code: 1 not as wished, 2 wrong use or wrong settings."""

    lines: list[str]
    exit_code: int


def error_lines(error: Exception) -> ErrorLines | None:
    """Say what is wrong and what to do; None when the error is nobody's mistake and deserves its traceback."""
    if isinstance(error, click.exceptions.Exit):
        return ErrorLines([], error.exit_code)
    if isinstance(error, click.Abort):
        return ErrorLines(["stopped"], 130)
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return ErrorLines([error.format_message()], 2)
    if isinstance(error, click.ClickException):
        return _of_click(error)
    if isinstance(error, BrokenPipeError):
        return ErrorLines([], 0)
    names = (f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__)
    tell = next((_LINES_OF[name] for name in names if name in _LINES_OF), None)
    return tell(error) if tell is not None else None


def _of_click(error: click.ClickException) -> ErrorLines:
    lines = [f"sfmc-import: {error.format_message()}"]
    if isinstance(error, click.UsageError) and error.ctx is not None:
        lines.append(f"try: {error.ctx.command_path} --help")
    return ErrorLines(lines, error.exit_code)


def _settings(error: Exception) -> ErrorLines:
    problems = str(error).splitlines()
    count = "1 setting is wrong" if len(problems) == 1 else f"{len(problems)} settings are wrong"
    return ErrorLines([f"sfmc-import: {count}", *(f"  {line}" for line in problems)], 2)


def _redis(error: Exception) -> ErrorLines:
    # Loaded after the settings were read once already: they are known to be sound.
    from sfmc_import.settings import load  # noqa: PLC0415 - 200 ms that a command without mistakes must not pay

    place = load(os.environ).redis.shown
    return ErrorLines(
        [f"sfmc-import: Redis at {place} does not answer: {error}", "  start it, or set SFMC_REDIS_URL"], 1
    )


def _plainly(exit_code: int) -> Callable[[Exception], ErrorLines]:
    return lambda error: ErrorLines([f"sfmc-import: {error}"], exit_code)


_LINES_OF: dict[str, Callable[[Exception], ErrorLines]] = {
    "sfmc_import.settings.problems.SettingsError": _settings,
    "sfmc_import.ports.LedgerUnavailableError": _redis,
    "redis.exceptions.RedisError": _redis,
    "sfmc_import.client.ServiceUnavailableError": _plainly(1),
    "sfmc_import.request.BadRequestError": _plainly(2),
    "sfmc_local.redis_server.NoServerError": _plainly(1),
}

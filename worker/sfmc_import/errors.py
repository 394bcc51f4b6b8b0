"""Errors that a person can fix: each has the lines that the command line prints, and the exit code it ends with."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sfmc_import.advice import Advice, with_command

FAILURE = 1
USAGE = 2
INTERRUPTED = 130
PIPE_CLOSED = 141
"""Exit codes: 1 for a failure, 2 for wrong usage or wrong settings; as shells report SIGINT (2) and SIGPIPE (13)."""

OUR_PACKAGES = frozenset({"sfmc_import", "sfmc_transport", "sfmc_producers", "sfmc_local", "sfmc_server"})


class SfmcImportError(Exception):
    """What was wrong and where, as the text; `advice` says what to do about it, unless the text does."""

    exit_code = FAILURE
    advice = Advice()

    def __init__(self, text: str, fix: str | Advice | None = None) -> None:
        super().__init__(text)
        if fix is not None:
            self.advice = fix if isinstance(fix, Advice) else Advice((fix,))

    @property
    def fix(self) -> str:
        """What to do about it, for the command line and the log."""
        return str(self.advice)

    def lines(self) -> list[str]:
        """Give the lines for standard error: the text first, then what to do."""
        return [f"sfmc-import: {self}", *([f"  {self.fix}"] if self.fix else [])]


class SettingsError(SfmcImportError):
    """Settings that cannot be used; `problems` has one line for each: name, what is wrong, what to do."""

    exit_code = USAGE

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)

    def lines(self) -> list[str]:
        """Give the number of problems, then one line for each."""
        count = "1 setting is wrong" if len(self.problems) == 1 else f"{len(self.problems)} settings are wrong"
        return [f"sfmc-import: {count}", *(f"  {problem}" for problem in self.problems)]


@contextmanager
def noted(problems: list[str]) -> Iterator[None]:
    """Add what is wrong in the settings to a list, and go on: all of it is said at once."""
    try:
        yield
    except SettingsError as error:
        problems += error.problems


def require_none(problems: Sequence[str]) -> None:
    """Raise SettingsError with each problem once, if there is any."""
    if problems:
        raise SettingsError(list(dict.fromkeys(problems)))


class ServiceUnavailableError(SfmcImportError):
    """Redis or Marketing Cloud does not answer now; the text says which and where."""

    advice = with_command("find the cause with", "doctor")


class UnconfirmedError(ServiceUnavailableError):
    """What was asked for is recorded, and disk or replicas have not confirmed it in time; `request_id` where known."""

    request_id = ""


SINCE_WHEN = (
    "since when: see the logs of workers, beats and watchers (redis_unreachable, broker_unreachable,"
    " backend_unavailable), or an API or console that runs"
)


class RedisAwayError(ServiceUnavailableError):
    """Redis does not answer: it alone has what all processes know, and a command that has just begun knows no more."""

    def lines(self) -> list[str]:
        """Give the lines of any error, then who knows since when it is so."""
        return [*super().lines(), f"  {SINCE_WHEN}"]


class MissingExtraError(SfmcImportError):
    """A command needs a package that is not installed; the text names both and the extra that brings it."""


@contextmanager
def extra_needed(command: str, extra: str = "demo") -> Iterator[None]:
    """Turn a failed import of another's package into MissingExtraError; a missing module of ours stays what it is."""
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in OUR_PACKAGES:
            raise
        text = f"{command} needs {missing}, which is not installed; install it with: pip install 'sfmc-import[{extra}]'"
        raise MissingExtraError(text) from error

"""The command `sfmc-import`: lists the subcommands, loads the one that is called, and turns errors into exit codes."""

import errno
import io
import os
import signal
import sys
from typing import Any

import click

from sfmc_import.cli import shells
from sfmc_import.cli.entry import leave_quietly_on_ctrl_c
from sfmc_import.cli.lazy_group import LazyGroup, Subcommand
from sfmc_import.cli.output import print_line, print_traceback
from sfmc_import.errors import FAILURE, INTERRUPTED, PIPE_CLOSED, SfmcImportError, extra_needed

# Each function imports one command when it is called: its libraries take up to half a second to load.


def _demo() -> click.Command:
    from sfmc_local.cli import demo

    return demo


def _sandbox() -> click.Command:
    with extra_needed("sandbox"):
        from sfmc_sandbox.cli import sandbox
    return sandbox


def _worker() -> click.Command:
    from sfmc_import.cli.run import worker

    return worker


def _beat() -> click.Command:
    from sfmc_import.cli.run import beat

    return beat


def _watch() -> click.Command:
    from sfmc_producers.cli import watch

    return watch


def _source() -> click.Command:
    from sfmc_producers.cli import source

    return source


def _sources() -> click.Command:
    from sfmc_producers.cli import sources

    return sources


def _serve() -> click.Command:
    from sfmc_server.cli import serve

    return serve


def _scan() -> click.Command:
    from sfmc_producers.cli import scan

    return scan


def _explain() -> click.Command:
    from sfmc_producers.cli import explain

    return explain


def _start() -> click.Command:
    from sfmc_producers.cli import start

    return start


def _follow() -> click.Command:
    from sfmc_import.cli.inspect import follow

    return follow


def _status() -> click.Command:
    from sfmc_import.cli.overview import status

    return status


def _events() -> click.Command:
    from sfmc_import.cli.inspect import events

    return events


def _doctor() -> click.Command:
    from sfmc_import.cli.doctor import doctor
    from sfmc_producers.cli import wrong_lines

    doctor.context_settings = {"obj": wrong_lines}
    return doctor


def _dead_letters() -> click.Command:
    from sfmc_import.cli.repair import dead_letters_group

    return dead_letters_group


def _show() -> click.Command:
    from sfmc_import.cli.operate import show

    return show


def _folders() -> click.Command:
    from sfmc_import.cli.folders import folders_group

    return folders_group


def _cancel() -> click.Command:
    from sfmc_import.cli.operate import cancel

    return cancel


def _settle() -> click.Command:
    from sfmc_import.cli.operate import settle

    return settle


def _force() -> click.Command:
    from sfmc_import.cli.operate import force

    return force


def _replay() -> click.Command:
    from sfmc_import.cli.operate import replay

    return replay


def _pause() -> click.Command:
    from sfmc_import.cli.operate import pause

    return pause


def _resume() -> click.Command:
    from sfmc_import.cli.operate import resume

    return resume


def _definitions() -> click.Command:
    from sfmc_import.cli.definitions import definitions_group

    return definitions_group


def _runs() -> click.Command:
    from sfmc_import.cli.runs import runs

    return runs


def _completion() -> click.Command:
    from sfmc_import.cli.completion import completion

    return completion


def _tokens() -> click.Command:
    from sfmc_import.cli.tokens import tokens_group

    return tokens_group


def _notify() -> click.Command:
    from sfmc_import.cli.notify import notify_group

    return notify_group


def _usage() -> click.Command:
    from sfmc_import.cli.usage import usage

    return usage


def _resolve() -> click.Command:
    from sfmc_import.cli.repair import resolve

    return resolve


def _health() -> click.Command:
    from sfmc_import.cli.health import health

    return health


COMMANDS = {
    "Demo": {
        "demo": Subcommand(_demo, "Run the whole system on this machine for 15 seconds and show it."),
        "sandbox": Subcommand(_sandbox, "Run a local substitute for Marketing Cloud's import service."),
    },
    "Services": {
        "worker": Subcommand(_worker, "Start imports and follow them to their end."),
        "beat": Subcommand(_beat, "Send workers what is due; any number may run."),
        "watch": Subcommand(_watch, "Submit a request for each file that arrives in folders."),
        "source": Subcommand(_source, "Run sources of the policy file by name."),
        "sources": Subcommand(_sources, "Run all sources of the policy file."),
        "serve": Subcommand(_serve, "Serve console and HTTP API; take what senders post."),
        "notify": Subcommand(_notify, "Tell people and programs what happened."),
    },
    "Requests": {
        "scan": Subcommand(_scan, "Submit what lies in a source and has no request yet."),
        "explain": Subcommand(_explain, "Say which definition a file would start, and why."),
        "start": Subcommand(_start, "Submit a request to start one ImportDefinition."),
        "follow": Subcommand(_follow, "Follow one run to its end, also after a timeout."),
        "status": Subcommand(_status, "Show the state of the system, a definition or a request."),
        "show": Subcommand(_show, "Show a request: why it waits, until when, and its whole life."),
        "runs": Subcommand(_runs, "List the runs that have ended, also as CSV or Parquet."),
        "events": Subcommand(_events, "Show what happened, and with --follow what happens now."),
    },
    "Operations": {
        "doctor": Subcommand(_doctor, "Check settings, Redis, login, definitions; print fixes."),
        "dead-letters": Subcommand(_dead_letters, "List, replay or delete messages that no worker could handle."),
        "cancel": Subcommand(_cancel, "End a request before its start."),
        "force": Subcommand(_force, "Let a request that waits start without the window."),
        "settle": Subcommand(_settle, "Say that a bad end is dealt with."),
        "replay": Subcommand(_replay, "Submit what a request asked for again."),
        "pause": Subcommand(_pause, "Let starts of a definition, a business unit or all wait."),
        "resume": Subcommand(_resume, "End a pause."),
        "definitions": Subcommand(_definitions, "Let definitions be read again that were changed."),
        "folders": Subcommand(_folders, "Show watched folders, or forget one."),
        "resolve": Subcommand(_resolve, "Record whether an unproved start (start_unknown) happened."),
        "tokens": Subcommand(_tokens, "Make, list and revoke tokens of the HTTP API."),
        "usage": Subcommand(_usage, "Show how many calls the account has made."),
        "completion": Subcommand(_completion, "Print completions for bash, zsh or fish."),
        "health": Subcommand(_health, "Check that the worker of this container is alive."),
    },
}

EPILOG = """\b
Settings are environment variables SFMC_…, files in
/run/secrets and sfmc-import.toml.
To try it without an account or a server: sfmc-import demo
From another machine: SFMC_API_URL and SFMC_API_TOKEN
(sfmc-import tokens add), and no Redis.

\b
Exit codes
  0    success; with --wait, follow: the import completed
  1    failure; one line says what is wrong, what to do
  2    wrong use or settings, or no valid token
  130  ended by Ctrl-C
  141  the reader of the output has gone

\b
Colours: on a terminal; never with NO_COLOR=1, always with
FORCE_COLOR=1.
Width: that of the terminal, or COLUMNS=60; lines to a
pipe or a file are whole.
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
    """Run the command and end the process; an error that a user can fix is a few lines on standard error."""
    try:
        try:
            open_streams()
            sys.excepthook = print_traceback
            # Ctrl-C is an exception from here on, so that what is open can be closed.
            if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            shells.use()
            status = cli.main(prog_name="sfmc-import", standalone_mode=False)
        finally:
            leave_quietly_on_ctrl_c()
        sys.exit(status or 0)
    except SfmcImportError as error:
        _end(error.lines(), error.exit_code)
    except click.ClickException as error:
        _end(_usage_lines(error), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _end(["sfmc-import: stopped"], INTERRUPTED)
    except OutputLostError as lost:
        end_without_output(lost, PIPE_CLOSED if lost.reader_is_gone else FAILURE)


def _usage_lines(error: click.ClickException) -> list[str]:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error.format_message().splitlines()
    lines = [f"sfmc-import: {error.format_message()}"]
    if isinstance(error, click.UsageError) and error.ctx is not None:
        lines.append(f"try: {error.ctx.command_path} --help")
    return lines


def _end(lines: list[str], exit_code: int) -> None:
    for line in lines:
        print_line(line, err=True)
    sys.exit(exit_code)


class OutputLostError(Exception):
    """Standard output has no reader any more, or cannot be written; not an OSError, which click and others catch."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror)
        self.reader_is_gone = error.errno == errno.EPIPE


class _Output(io.FileIO):
    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise OutputLostError(error) from error


class _Errors(io.FileIO):
    """A lost standard error changes neither what a command does nor its exit code."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(memoryview(data))


def open_streams() -> None:
    """Put streams of ours in the place of this process's own; does nothing where a program has put others there."""
    _open_missing()
    if sys.stdout is sys.__stdout__:
        sys.stdout = _text(_Output(1, "wb", closefd=False), sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(_Errors(2, "wb", closefd=False), sys.stderr)


def _open_missing() -> None:
    """Open what a shell has closed (`>&-`), or the next file or socket would get its number.

    Standard output is opened for reading: whoever writes to it learns that it is not there.
    """
    for number, mode in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)


def _text(raw: io.FileIO, before: Any) -> io.TextIOWrapper:
    # What a terminal's encoding does not have is shown by its number, not by a traceback.
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(before, "encoding", None) or "utf-8",
        errors="backslashreplace",
        line_buffering=raw.name == 2 or raw.isatty(),
    )


def end_without_output(lost: OutputLostError, code: int) -> None:
    """Say why there is no output, unless its reader has gone, and end the process."""
    if not lost.reader_is_gone:
        click.echo(f"sfmc-import: cannot write to standard output: {lost}", err=True)
    # What is still in the buffer goes nowhere; otherwise the interpreter would complain while it ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(code)

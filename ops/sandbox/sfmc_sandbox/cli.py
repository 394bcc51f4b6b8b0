"""The command `sfmc-sandbox`: turns options into settings and runs the server until a signal."""

import asyncio
import json
import os
import signal
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click
import structlog

from sfmc_sandbox.entry import INTERRUPTED
from sfmc_sandbox.limits import Limits
from sfmc_sandbox.private_files import write_private
from sfmc_sandbox.settings import DEFAULT_MID, LONGEST_TOKEN, SHORTEST_TOKEN, Principal, SandboxSettings
from sfmc_sandbox.store import DataFolderError

if TYPE_CHECKING:
    from sfmc_sandbox.server import SandboxServer

_CERTIFICATE = Path(__file__).parent / "tls" / "localhost.pem"
_LIMITS = ("max_objects", "max_runs", "max_rows", "max_bad_rows")
_CONTEXT = {"auto_envvar_prefix": "SFMC_SANDBOX", "show_default": True, "max_content_width": 110}


@click.command(context_settings=_CONTEXT)
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", default=8943, type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for state and for files to import; without it, nothing is kept.",
)
@click.option("--client-id", default="demo-client", help="The API client that may request tokens.")
@click.option("--client-secret", default="demo-secret", help="Its secret.")
@click.option("--username", default="demo-user", help="The user of WS-Security UsernameToken.")
@click.option("--password", default="demo-password", help="Its password.")
@click.option(
    "--account-id",
    "account_ids",
    multiple=True,
    type=int,
    default=[DEFAULT_MID],
    envvar="SFMC_SANDBOX_ACCOUNT_ID",
    help="A business unit (MID) that exists; may be given several times, the first is the default one.",
)
@click.option("--time-zone", default="America/Chicago", help="Time zone of the account, for dates in FileSpec.")
@click.option("--token-lifetime", default=1200, type=click.IntRange(1), help="Seconds until a token expires.")
@click.option(
    "--token-length",
    default=64,
    type=click.IntRange(SHORTEST_TOKEN, LONGEST_TOKEN),
    help="Characters of an access token.",
)
@click.option("--row-delay", default=0.0, help="Seconds until Retrieve shows a started run.")
@click.option("--slowdown", default=0.0, help="Seconds that a run shows as Processing at least.")
@click.option(
    "--inside-window",
    type=click.Choice(["accept", "error-run", "refuse"]),
    default="accept",
    help="What a direct start inside MaxImportFrequency does (not publicly known).",
)
@click.option(
    "--conversation-ids",
    type=click.Choice(["refuse-replay", "ignore"]),
    default="refuse-replay",
    help="What Perform does with a ConversationID it has seen (not publicly known).",
)
@click.option(
    "--destination-id",
    type=click.Choice(["customer-key", "object-id"]),
    default="customer-key",
    help="DestinationID of runs into data extensions (documents and captures differ).",
)
@click.option(
    "--key-comparison",
    type=click.Choice(["database", "exact"]),
    default="database",
    help="How keys and texts in filters compare: in any case and without blanks at the end, or exactly.",
)
@click.option(
    "--single-in",
    type=click.Choice(["refuse", "accept"]),
    default="refuse",
    help="What Retrieve does with the operator IN and one value.",
)
@click.option(
    "--comparisons",
    type=click.Choice(["answer", "refuse"]),
    default="answer",
    help="What Retrieve does with greaterThan, lessThan and their relatives (not publicly known for numbers).",
)
@click.option(
    "--allow-host",
    "allowed_hosts",
    multiple=True,
    envvar="SFMC_SANDBOX_ALLOW_HOST",
    help="A name by which the control API may be called beside localhost and addresses; may be given several times.",
)
@click.option("--overall-status-message", default="", help="OverallStatusMessage of a Perform that went well.")
@click.option("--is-platform-object", is_flag=True, help="Send the element IsPlatformObject that no WSDL declares.")
@click.option("--tls", is_flag=True, help="Serve HTTPS with the certificate that comes with the sandbox.")
@click.option(
    "--tls-pem",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Serve HTTPS with this certificate and key in one PEM file.",
)
@click.option("--max-request", default=4, type=click.IntRange(1, 1024), help="MiB of one request, also unpacked.")
@click.option(
    "--max-objects", default=20_000, type=click.IntRange(1), help="Definitions, destinations and locations kept."
)
@click.option("--max-runs", default=250_000, type=click.IntRange(1), help="Runs kept; then Perform is refused.")
@click.option("--max-rows", default=10_000_000, type=click.IntRange(1), help="Rows kept in one destination.")
@click.option("--max-bad-rows", default=100_000, type=click.IntRange(0), help="Bad rows kept of one run.")
@click.option("--validate", is_flag=True, help="Check each reply against the WSDL's schema before sending it.")
@click.version_option(package_name="sfmc-sandbox", message="%(package)s %(version)s", allow_from_autoenv=False)
@click.option("--json", "as_json", is_flag=True, help="Print the address as JSON.")
def sandbox(host: str, port: int, *, as_json: bool, **options: Any) -> None:  # fmt: skip
    """Run a local stand-in for Marketing Cloud's SOAP import service.

    It answers SOAP at /Service.asmx, issues tokens at /v2/token, serves its WSDL at /etframework.wsdl and really
    imports files, from DATA/<MID>/<location>/ (Enhanced FTP: its folder Import). Open /_sandbox/ in a browser to
    see definitions, runs and faults. Every option can also be set as SFMC_SANDBOX_<OPTION>.

    Exit code: 0 stopped by SIGTERM, 130 Ctrl-C, 1 it cannot listen or use its folder, 2 usage error.
    """
    options["allowed_hosts"] = (*options["allowed_hosts"], host)
    settings = _settings(**options)
    _log_to_stderr()
    # Imported here so that `sfmc-import --help` does not pay for a web server; and before there is a loop, in which
    # Ctrl-C would wait until the import is over.
    from sfmc_sandbox.server import SandboxServer  # noqa: PLC0415

    def serve() -> SandboxServer:
        return SandboxServer(settings, host, port, lambda url: _announce(url, settings.data, as_json=as_json))

    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            raise SystemExit(runner.run(_run(serve)))
    except DataFolderError as problem:
        raise click.ClickException(str(problem)) from problem
    except ssl.SSLError as problem:
        raise click.ClickException(f"{settings.tls} is no certificate with its key: {problem.reason}") from problem
    except OSError as problem:
        raise click.ClickException(f"cannot listen on {host}:{port}: {problem.strerror or problem}") from problem


def _settings(
    client_id: str,
    client_secret: str,
    username: str,
    password: str,
    account_ids: tuple[int, ...],
    *,
    tls: bool,
    tls_pem: Path | None,
    **rest: Any,
) -> SandboxSettings:
    try:
        ZoneInfo(str(rest["time_zone"]))
    except (ZoneInfoNotFoundError, ValueError, OSError) as problem:
        raise click.BadParameter(f"{rest['time_zone']!r} is not a time zone", param_hint="--time-zone") from problem
    return SandboxSettings(
        clients=(Principal(client_id, client_secret),),
        users=(Principal(username, password),),
        mids=tuple(dict.fromkeys(account_ids)),
        tls=tls_pem or (_CERTIFICATE if tls else None),
        limits=Limits(rest.pop("max_request") * 1024 * 1024, *(rest.pop(name) for name in _LIMITS)),
        **rest,
    )


async def _run(make: "Callable[[], SandboxServer]") -> int:
    """Serve until a signal; give the exit code."""
    received: list[int] = []

    def end(number: int) -> None:
        received.append(number)
        server.stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # The loop calls this at the next `await`, when there is a server.
        loop.add_signal_handler(number, end, number)
    server = make()
    await server.run_until_stopped()
    return INTERRUPTED if signal.SIGINT in received else 0


def _log_to_stderr() -> None:
    """One JSON line per event; standard output carries the address alone."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _announce(url: str, data: Path | None, *, as_json: bool) -> None:
    try:
        print(json.dumps({"url": url}) if as_json else url, flush=True)
    except OSError as problem:
        # Python writes what is left once more when it ends, and would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.ClickException(f"cannot write to standard output: {problem.strerror}") from problem
    if not as_json:
        print(f"Sandbox of Marketing Cloud; look at {url}/_sandbox/ and end it with Ctrl-C.", file=sys.stderr)
    if data is not None:
        write_private(data / "sandbox.url", f"{url}\n".encode())


def _loop_factory() -> Any:
    try:
        import uvloop  # noqa: PLC0415  not there on Windows
    except ImportError:
        return None
    return uvloop.new_event_loop


def main() -> None:
    """Run the command `sfmc-sandbox` and end the process."""
    if not sys.stdout:
        sys.exit("sfmc-sandbox: standard output is closed; open it, for the address is printed there")
    try:
        sandbox(prog_name="sfmc-sandbox")
    except OSError as problem:
        # What is still in the buffer goes nowhere; otherwise the interpreter would complain while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(f"sfmc-sandbox: cannot write to standard output: {problem.strerror}")

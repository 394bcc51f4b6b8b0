"""The command `serve`: its options and help. What it needs is imported when it runs."""

import click

from sfmc_import.cli.output import examples, json_option
from sfmc_import.errors import extra_needed


@click.command(
    epilog=examples("sfmc-import serve", "sfmc-import serve --host 0.0.0.0 --port 8080"),
    short_help="Serve the console and the HTTP API, and take what senders post to push sources.",
)
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@json_option
def serve(*, host: str, port: int, as_json: bool) -> None:
    """Serve HTTP until SIGTERM: the console at /, the API under /v1, and /events/NAME for each source of kind push.

    Console and API ask for a token: `sfmc-import tokens add NAME --role ROLE`. /openapi.json describes the API;
    /healthz and /readyz say how the server is.

    A POST is answered with 200 only after each of its events is recorded, starts nothing, or is set aside. Put a
    proxy that speaks TLS in front of it where senders are on other machines.

    SIGTERM ends it gracefully: what it works on is finished, and what it cannot finish is posted again. Any number
    may run beside each other. Exit code: 0 stopped by SIGTERM, 130 Ctrl-C, 1 cannot listen, 2 usage or settings error.
    """
    with extra_needed("serve", "serve"):
        from sfmc_server.serving import run_serve  # noqa: PLC0415 - the libraries of the server may be missing
    run_serve(host, port, as_json=as_json)

"""The command `demo`: its options and help. What it needs is imported when it runs."""

import click

from sfmc_import.errors import extra_needed

EPILOG = """\b
Examples:
  sfmc-import demo
  sfmc-import demo --keep
  sfmc-import demo --json | jq -r .type
"""


@click.command(epilog=EPILOG)
@click.option("--keep", is_flag=True, help="Keep everything running at the end, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print only the events, as JSON lines.")
@click.option("--fast", is_flag=True, help="Run without pauses for reading.")
def demo(*, keep: bool, as_json: bool, fast: bool) -> None:
    """Run the whole system on this machine and show it, in about fifteen seconds.

    The demo starts an embedded Valkey, the sandbox instead of Marketing Cloud, a worker, a beat, a folder watcher
    and, with the extra `serve`, a push source. It creates three ImportDefinitions by SOAP, writes files (one is
    announced again by hand and by an event, one grows slowly, one has bad rows) and shows every event until the last
    import has ended. It needs no account and no network, and changes nothing outside a temporary folder. If
    SFMC_REDIS_URL is set, it uses that Redis, which must be empty.

    Exit code: 0 success, 1 failure, 130 Ctrl-C.
    """
    # Imported here, because --help must not wait for Redis and rich.
    with extra_needed("demo"):
        import sfmc_sandbox  # noqa: F401, PLC0415 - the demo starts it as a process of its own
        from sfmc_local.demo import run  # noqa: PLC0415
    run(keep=keep, as_json=as_json, fast=fast)

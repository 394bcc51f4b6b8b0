"""The command `demo`: its options and its exit codes; everything else is imported when it runs."""

import click

EPILOG = """\b
Examples:
  sfmc-import demo
  sfmc-import demo --keep
  sfmc-import demo --json | jq -r .type
"""


@click.command(epilog=EPILOG)
@click.option("--keep", is_flag=True, help="Leave everything running at the end, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print the events as JSON lines and nothing else.")
@click.option("--fast", is_flag=True, help="Without the pauses that let a person read along.")
def demo(*, keep: bool, as_json: bool, fast: bool) -> None:
    """Watch the whole system at work on this machine, in about fifteen seconds.

    Starts an embedded Valkey, the sandbox in the place of Marketing Cloud, a worker, a beat and a folder watcher;
    creates three ImportDefinitions over SOAP, lets files arrive (one is announced twice, one grows for a while,
    one has bad rows) and shows every event until the last import has ended. Needs no account, no network and
    changes nothing outside a temporary folder. With SFMC_REDIS_URL it uses that Redis, which must be empty.

    Exit code: 0 everything went as it should, 1 it did not, 130 ended by Ctrl-C.
    """
    try:
        from sfmc_local.demo import DemoError, run  # noqa: PLC0415 - Redis and rich: --help must not pay for them
    except ModuleNotFoundError as missing:
        text = f"demo needs {missing.name}, which is not installed; install the extra: sfmc-import[demo]"
        raise click.ClickException(text) from missing

    try:
        run(keep=keep, as_json=as_json, fast=fast)
    except DemoError as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None

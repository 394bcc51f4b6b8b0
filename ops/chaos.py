"""The chaos program: a storm of faults over real processes, then a count of what was promised and not kept."""

import json
import random
from pathlib import Path

import click

from ops.storm import running, showing
from ops.storm.fleet import StormError
from ops.storm.judging import SEEN_FROM_OUTSIDE, Judge
from ops.storm.plan import Plan

REQUESTS_PER_SECOND = 8.0
SHORT_REQUESTS = 80
REQUESTS = 300


EXAMPLES = """\b
Examples:
  python -m ops.chaos                     300 requests, about a minute
  python -m ops.chaos --requests 10000    the long run
  python -m ops.chaos --short --seed 7    as the tests run it
  python -m ops.chaos --control naive     shows that doubles are found
"""


@click.command(epilog=EXAMPLES)
@click.option(
    "--requests", type=click.IntRange(1), help=f"How many requests are sent [{REQUESTS}; short: {SHORT_REQUESTS}]."
)
@click.option(
    "--seconds", type=click.FloatRange(1), help="How long the producers take; they send about 8 requests a second."
)
@click.option(
    "--seed", type=int, help="Same seed, same wishes, deeds and faults at about the same moments [a new one]."
)
@click.option("--workers", type=click.IntRange(1, 32), default=3, show_default=True)
@click.option("--producers", type=click.IntRange(1, 32), default=4, show_default=True)
@click.option("--fault-rate", type=click.FloatRange(0, 1), default=0.2, show_default=True, help="0: calm weather.")
@click.option("--transport", type=click.Choice(["reliable", "stock"]), default="reliable", show_default=True)
@click.option("--control", type=click.Choice(["naive"]), help="Run a worker that must fail instead of the product.")
@click.option("--short", is_flag=True, help="Few requests, for the tests.")
@click.option("--logs", type=click.Path(file_okay=False, path_type=Path), help="An empty folder for logs and data.")
@click.option("--json", "as_json", is_flag=True, help="The outcome as JSON.")
def chaos(
    requests: int | None, seconds: float | None, seed: int | None, *, short: bool, as_json: bool,
    control: str | None, logs: Path | None, **rest: float | str,
) -> None:  # fmt: skip
    """Storm the whole system, let it settle, and count. Exit code 1 when a promise was not kept."""
    usual = SHORT_REQUESTS if short else REQUESTS
    count = requests or (int(seconds * REQUESTS_PER_SECOND) if seconds else usual)
    plan = Plan(
        seed=random.SystemRandom().randrange(10**6) if seed is None else seed,
        requests=count,
        seconds=seconds or count / REQUESTS_PER_SECOND,
        program="naive" if control else "product",
        **rest,  # type: ignore[arg-type]
    )
    try:
        after = running.run(plan, lambda words: None if as_json else click.echo(words, err=True), prepared(logs))
    except StormError as error:
        raise click.ClickException(str(error)) from error
    judge = Judge(after.remains, plan.windows)
    # The naive worker keeps no ledger: only what can be seen from outside is held against it.
    flaws = [flaw for flaw in judge.flaws() if control is None or flaw.kind in SEEN_FROM_OUTSIDE]
    outcome = showing.summary(plan, after, judge, flaws)
    click.echo(json.dumps(outcome) if as_json else "\n".join(showing.lines(outcome)))
    raise SystemExit(1 if flaws else 0)


def prepared(logs: Path | None) -> Path | None:
    """Make the folder for logs; raises click.UsageError when something is in it."""
    if logs is None:
        return None
    logs.mkdir(parents=True, exist_ok=True)
    if any(logs.iterdir()):
        raise click.UsageError(f"--logs: {logs} is not empty; give a new folder")
    return logs.absolute()


if __name__ == "__main__":
    chaos()

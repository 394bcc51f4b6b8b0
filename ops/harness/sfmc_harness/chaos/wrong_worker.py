"""A worker of the product with one wrong rule, to show that a chaos run detects it: `wrong_worker RULE`."""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

from sfmc_import.checking import Holds
from sfmc_import.faults import Ambiguous, NotApplied, Rejected


def _in_time(*_: object) -> Holds:
    return Holds()


def _gives_up_looking(_: Any) -> Callable[..., Any]:
    service = importlib.import_module("sfmc_import.service")
    return lambda decision, _fault, policy, deps: service._record_unknown(  # noqa: SLF001 - no rule of its own
        decision, (), policy, deps
    )


def _sends_again(found: Any) -> Callable[..., Any]:
    def after(fault: Any, *arguments: Any) -> Any:
        return found(NotApplied(fault.code, fault.text) if isinstance(fault, Ambiguous) else fault, *arguments)

    return after


def _for_good(found: Any) -> Callable[..., Any]:
    def after(fault: Any, *arguments: Any) -> Any:
        if isinstance(fault, NotApplied) and fault.account_wide:
            fault = Rejected(fault.code, fault.text)
        return found(fault, *arguments)

    return after


WRONG_RULES: Mapping[str, tuple[str, str, Callable[[Any], Any]]] = {
    "unchecked": ("sfmc_import.checking", "check", lambda _: _in_time),
    "early": ("sfmc_import.request", "_read_time", lambda _: lambda *_: None),
    "one-priority": ("sfmc_transport", "TRANSPORT_OPTIONS", lambda right: {**right, "priority_steps": [0]}),
    "one-queue": ("sfmc_import.settings.model", "broker_prefix", lambda _: lambda _prefix: ""),
    "sends-again": ("sfmc_import.retrying", "after", _sends_again),
    "account-wide-ends": ("sfmc_import.retrying", "after", _for_good),
    "failed-look-is-last": ("sfmc_import.service", "_after_failed_query", _gives_up_looking),
    "unlimited": (
        "sfmc_import.marketing_cloud.exchange",
        "_content",
        lambda right: lambda answer, _: right(answer, 2**40),
    ),
}
"""Name on the command line: where the right one is, its name, and what makes the wrong one of it.

- unchecked: what FileSpec selects is not asked for right before a start
- early: the times that a sender names are ignored
- one-priority: messages of other priorities are not read
- one-queue: the prefix does not cover the queue
- sends-again: a start without an answer counts as not applied
- account-wide-ends: a refusal of the whole account ends the one request that met it
- failed-look-is-last: a look at the runs that fails ends the search
- unlimited: an answer may have any size
"""


def main() -> None:
    """Make one rule wrong, before any other module takes it over, and become a worker."""
    place, name, make = WRONG_RULES[sys.argv.pop(1)]
    owner = importlib.import_module(place)
    setattr(owner, name, make(getattr(owner, name)))
    sys.argv.append("worker")
    importlib.import_module("sfmc_import.cli.entry").main()


if __name__ == "__main__":
    main()

"""Runs the benches by name, or all: `python -m sfmc_harness.bench [starts|waiting|ledger|importing|sandbox …]`."""

import importlib
import sys

ALL = ("waiting", "starts", "ledger", "importing", "sandbox")


def main(names: list[str]) -> int:
    """Print every figure; 1 when one is over its limit, 2 for a name that is no bench."""
    unknown = [name for name in names if name not in ALL]
    if unknown:
        print(f"no bench {', '.join(unknown)}: there are {', '.join(ALL)}", file=sys.stderr)
        return 2
    met = [_run(name) for name in names or ALL]
    return 0 if all(met) else 1


def _run(name: str) -> bool:
    print(f"{name}:", flush=True)
    met = True
    for figure in importlib.import_module(f"sfmc_harness.bench.{name}").figures():
        print(f"  {figure}", flush=True)
        met = met and figure.is_met
    return met


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

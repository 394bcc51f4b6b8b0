"""python -m tests.support.mutants: which test notices each wrong script and rule; exit code 1 when one survives."""

import sys

from sfmc_local.redis_server import Valkey
from tests.support.mutants.rules import is_noticed
from tests.support.mutants.scripts import killer_of
from tests.support.mutants.wrong_rules import RULES
from tests.support.mutants.wrong_scripts import MUTANTS


def main() -> int:
    survivors = 0
    with Valkey() as server:
        for mutant in MUTANTS:
            killer = killer_of(mutant, server.url)
            survivors += killer is None
            sys.stdout.write(f"{mutant.file:11} {mutant.find[:60]!r:64} {killer or 'SURVIVED'}\n")
    for number, (module, find, _) in enumerate(RULES):
        noticed = is_noticed(number)
        survivors += not noticed
        sys.stdout.write(f"{module:27} {find[:48]!r:50} {'noticed' if noticed else 'SURVIVED'}\n")
    sys.stdout.write(f"{len(MUTANTS) + len(RULES)} mutants, {survivors} survived\n")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())

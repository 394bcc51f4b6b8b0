"""python -m tests.support.mutants: which test detects each wrong script and rule; exit code 1 when none does."""

import sys

from sfmc_local.redis_server import Valkey
from tests.support.mutants.rules import is_detected
from tests.support.mutants.scripts import detected_by
from tests.support.mutants.wrong_rules import RULES
from tests.support.mutants.wrong_scripts import MUTANTS


def main() -> int:
    undetected = 0
    with Valkey() as server:
        for mutant in MUTANTS:
            detector = detected_by(mutant, server.url)
            undetected += detector is None
            sys.stdout.write(f"{mutant.file:11} {mutant.find[:60]!r:64} {detector or 'NOT DETECTED'}\n")
    for number, (module, find, _) in enumerate(RULES):
        detected = is_detected(number)
        undetected += not detected
        sys.stdout.write(f"{module:27} {find[:48]!r:50} {'detected' if detected else 'NOT DETECTED'}\n")
    sys.stdout.write(f"{len(MUTANTS) + len(RULES)} mutants, {undetected} not detected\n")
    return 1 if undetected else 0


if __name__ == "__main__":
    sys.exit(main())

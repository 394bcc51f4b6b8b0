"""Searches with the wrong rule that WRONG_RULE numbers; prints the schedule and the violation, or nothing."""

import sys

import tests.support.mutants.mutated_import  # noqa: F401 - it must stand before the modules that it changes

if __name__ == "__main__":
    from tests.support.mutants.simulated import search

    sys.stdout.write(search(int(sys.argv[1])))

"""Runs seeds over the wrong rule that WRONG_RULE numbers; prints the seed and the violation, or nothing."""

import sys

import tests.support.mutants.mutated_import  # noqa: F401 - it must stand before the modules that it changes

if __name__ == "__main__":
    from tests.support.mutants.simulated import search

    failed = search(int(sys.argv[1]))
    if failed:
        sys.stdout.write(f"{failed[0]} {failed[1]}\n")

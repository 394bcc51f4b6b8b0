"""`python -m sfmc_harness.chaos`: the command of the chaos program."""

from sfmc_harness.chaos.command import chaos

chaos()

"""`python -m sfmc_harness.chaos`: the command of the chaos program."""

from sfmc_harness.chaos.run import chaos

chaos()

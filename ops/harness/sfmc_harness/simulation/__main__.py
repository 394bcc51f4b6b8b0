"""`python -m sfmc_harness.simulation`: the command of the simulation."""

from sfmc_harness.simulation.command import main

main()

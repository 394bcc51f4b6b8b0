"""`python -m sfmc_import`, for places where the command is not installed."""

from sfmc_import.cli.entry import main

main()

"""`python -m sfmc_import`, for places where the command is not installed."""

from sfmc_import.cli.main import main

main()

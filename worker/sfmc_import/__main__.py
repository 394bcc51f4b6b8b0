"""`python -m sfmc_import`, for places where the command is not installed; nothing else lives here."""

from sfmc_import.cli.main import main

main()

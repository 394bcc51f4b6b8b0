"""`python -m worker.cli`, for places where the command is not installed; nothing else lives here."""

from worker.cli import main

main()

"""Sources: wherever files arrive. A source yields arrivals and lets go of one only after the ledger has it."""

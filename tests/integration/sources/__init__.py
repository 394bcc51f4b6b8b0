"""Sources against a server of their kind."""

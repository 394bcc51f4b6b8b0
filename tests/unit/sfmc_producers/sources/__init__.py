"""Sources without a server."""

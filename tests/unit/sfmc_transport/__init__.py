"""Decisions of the transport that need no server."""

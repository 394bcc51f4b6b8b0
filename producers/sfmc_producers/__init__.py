"""Turns files that arrive into requests."""

"""Deduplicates requests, starts ImportDefinitions and follows their runs."""

"""The kinds of objects: what callers can create, change, delete and read of each."""

"""A wrong wall clock for one process; put this folder on PYTHONPATH and nothing else of it."""

"""The demo: the whole system at work on this machine, as real processes; nothing that runs elsewhere."""

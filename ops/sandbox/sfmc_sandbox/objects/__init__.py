"""The kinds of objects the service knows: what may be created, changed, deleted and read of each; no SOAP."""

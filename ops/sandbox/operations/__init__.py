"""The operations of the service: from a decoded request to the values of its answer; no bytes, no HTTP."""

"""The use cases: start, reconcile, follow, sweep; each takes data and ports, never a client or an environment."""

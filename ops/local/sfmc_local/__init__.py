"""The whole system on one machine: an embedded Valkey, child processes that end with their parent, the demo."""

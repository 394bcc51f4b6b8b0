"""The pure core: decisions over plain data; no clock, no client, no environment."""

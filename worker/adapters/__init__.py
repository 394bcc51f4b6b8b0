"""The rim: one room for each part of the outside world, behind the protocols of worker.ports."""

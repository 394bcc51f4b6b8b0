"""The system's parts on one machine: embedded Valkey and tethered child processes; nothing of production."""

"""Settings of every process: read once from environment, secret files and TOML; nothing here opens a connection."""

from worker.settings.fields import Settings
from worker.settings.loading import load
from worker.settings.policy_file import PolicyTable, Route
from worker.settings.problems import SettingsError
from worker.settings.redis_address import RedisAddress, parse_redis_url

__all__ = ["PolicyTable", "RedisAddress", "Route", "Settings", "SettingsError", "load", "parse_redis_url"]

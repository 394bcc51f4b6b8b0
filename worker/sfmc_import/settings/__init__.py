"""Settings of every process: read once from environment, secret files and TOML; nothing here opens a connection."""

from sfmc_import.redis_address import RedisAddress, parse_redis_url
from sfmc_import.settings.load import load
from sfmc_import.settings.model import Settings
from sfmc_import.settings.policy_file import PolicyTable, Route
from sfmc_import.settings.problems import SettingsError

__all__ = ["PolicyTable", "RedisAddress", "Route", "Settings", "SettingsError", "load", "parse_redis_url"]

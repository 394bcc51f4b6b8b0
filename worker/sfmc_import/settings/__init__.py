"""The settings of a process, read once from environment, secret files and TOML."""

from sfmc_import.errors import SettingsError
from sfmc_import.redis_address import RedisAddress, parse_redis_url
from sfmc_import.routing import Route
from sfmc_import.settings.load import described, load, read_all
from sfmc_import.settings.model import Settings
from sfmc_import.settings.policy_file import PolicyTable

__all__ = [
    "PolicyTable",
    "RedisAddress",
    "Route",
    "Settings",
    "SettingsError",
    "described",
    "load",
    "parse_redis_url",
    "read_all",
]

"""What the Compose file gives to each service."""

from pathlib import Path

import pytest
import yaml

FILE = yaml.safe_load((Path(__file__).parents[2] / "docker-compose.yml").read_text())
SERVICES = FILE["services"]
OURS = ("worker", "beat", "watcher", "sources", "serve", "notify")
LOGINS = {"SFMC_CLIENT_ID", "SFMC_CLIENT_SECRET", "SFMC_USERNAME", "SFMC_PASSWORD"}


@pytest.mark.parametrize("name", OURS)
def test_every_setting_of_the_env_file_and_the_policy_file_reach_a_service(name: str) -> None:
    service = SERVICES[name]

    assert service["env_file"] == [{"path": "${SFMC_ENV_FILE:-.env}", "required": False}]
    assert {"source": "policy", "target": service["environment"]["SFMC_CONFIG"]} in service["configs"]
    assert "sfmc_redis_password" in service["secrets"]


@pytest.mark.parametrize("name", ["beat", "notify"])
def test_what_never_asks_marketing_cloud_has_no_login_there(name: str) -> None:
    service = SERVICES[name]

    assert service["secrets"] == ["sfmc_redis_password"]
    assert {login: service["environment"][login] for login in LOGINS} == dict.fromkeys(LOGINS, "")


def test_redis_takes_its_password_from_a_secret_and_not_as_an_argument() -> None:
    command = SERVICES["valkey"]["command"][-1]

    assert SERVICES["valkey"]["secrets"] == ["sfmc_redis_password"]
    assert 'requirepass "$$(cat /run/secrets/sfmc_redis_password)"\nEND' in command
    assert "--requirepass" not in command

"""A worker that is started while the replicas are away, as after a failover, does not end."""

from structlog.testing import capture_logs

from sfmc_import.worker_process import begin
from sfmc_local.redis_server import Valkey

LOGIN = {
    "SFMC_SOAP_URL": "https://s.soap.example/Service.asmx",
    "SFMC_AUTH_URL": "https://s.auth.example",
    "SFMC_CLIENT_ID": "id",
    "SFMC_CLIENT_SECRET": "secret",
    "SFMC_ACCOUNT_ID": "510001234",
}


def test_a_worker_that_is_started_without_the_replicas_goes_on_with_a_warning() -> None:
    with Valkey() as server, capture_logs() as logs:
        asked = {"SFMC_REDIS_URL": server.url, "SFMC_DURABILITY": "wait", "SFMC_WAIT_REPLICAS": "1"}
        assert begin(LOGIN | asked, marketing_cloud=True) is None

    said = {each["check"]: each["event"] for each in logs if "check" in each}
    assert said["replicas"] == "redis_check_warning"
    assert "redis_check_failed" not in said.values()

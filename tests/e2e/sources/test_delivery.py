"""A file of a folder is delivered by SFTP to where the sandbox imports from, and its import completes."""

from tests.integration.delivery.conftest import PASSWORD, sftp_server  # noqa: F401 - a fixture
from tests.support.processes import running_system
from tests.support.sources import example_of, use_policy
from tests.support.waiting import eventually


def test_a_file_of_a_folder_is_delivered_and_its_import_completes(sftp_server) -> None:  # noqa: F811
    policy = example_of(
        "delivery",
        **{
            "mcabc.ftp.marketingcloudops.com": "127.0.0.1",
            "port = 22": f"port = {sftp_server.port}",
            "SHA256:replace-with-the-fingerprint-of-your-stack": sftp_server.fingerprint,
        },
    )
    with running_system() as system:
        system.worker()
        system.beat()
        system.sandbox.control.define("orders", FileSpec="orders_1.csv")
        sftp_server.folder = system.sandbox.drop("other.csv", "x").parents[1]
        folder = system.folder / "in"
        folder.mkdir()
        secret = {"SFMC_TARGET_ENHANCED_FTP_PASSWORD": PASSWORD}
        system.start("watch", str(folder), "--stable-seconds", "0.2", **use_policy(system, policy), **secret)
        (folder / "orders_1.csv").write_text("Key,Value\n1,one\n")
        eventually(lambda: "completed" in system.names(), 30, "it is imported")
        assert len(system.sandbox.control.performs("orders")) == 1
        assert sftp_server.names() == ["orders_1.csv", "other.csv"]

"""The producer of a push source is killed, or its store or target is cut: the file is delivered and imported once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.sources.test_content import BUCKET_KEYS, INBOX, TOKEN, handled, minio_post, of_minio, post
from tests.e2e.sources.test_delivered_content import CONTENT
from tests.support.aws_server import AwsServer, aws_server
from tests.support.processes import RunningSystem, running_system
from tests.support.push_servers import running_server
from tests.support.relay import relay
from tests.support.sftp_server import PASSWORD, USER, SftpTestServer
from tests.support.sources import running_source
from tests.support.waiting import eventually

SECRETS = {"SFMC_SOURCE_DROP_SECRET": TOKEN, **BUCKET_KEYS, "SFMC_TARGET_ENHANCED_FTP_PASSWORD": PASSWORD}
SLOW = 0.02
"""Seconds for each write of the target, so that a file is long on its way."""


def prepared(system: RunningSystem, aws: AwsServer, target: SftpTestServer, content: bytes) -> str:
    """Let a large object lie in the bucket, whose name the definition selects; gives the policy.

    The sandbox reads a small file of the same name: what is delivered lies at the target of the test.
    """
    system.worker()
    system.beat()
    system.sandbox.control.define("orders", FileSpec="orders_1.csv")
    system.sandbox.drop("orders_1.csv", CONTENT.decode())
    aws.bucket("drop")
    aws.put("in/orders_1.csv", content)
    (target.root / "Import").mkdir()
    target.pause = SLOW
    policy = of_minio(aws, target, **{'auth = "bearer"': 'auth = "bearer"\nclaim_after = "1s"'})
    return policy.replace('user = "510001234"', f'user = "{USER}"')


def reached(moment: str, system: RunningSystem, target: SftpTestServer) -> Callable[[], Any]:
    """Tell whether the producer has come so far."""
    key = f"{INBOX}drop"
    return {
        "taken": lambda: bool(system.client.xinfo_groups(key)) and system.client.xinfo_groups(key)[0]["pending"] == 1,
        "partly": lambda: target.written > 300_000,
        "renamed": (target.root / "Import" / "orders_1.csv").exists,
        "accepted": lambda: "accepted" in system.names(),
    }[moment]


MOMENTS = ["partly", *(pytest.param(each, marks=pytest.mark.nightly) for each in ("taken", "renamed", "accepted"))]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_producer_that_is_killed_loses_nothing_and_nothing_is_imported_twice(moment: str, tmp_path: Path) -> None:
    content = CONTENT * 100_000
    with aws_server() as aws, running_system() as system, SftpTestServer(tmp_path) as target:
        policy = prepared(system, aws, target, content)
        with running_server(system, policy, **SECRETS) as server:
            post(server, minio_post(aws))
        with running_source(system, "drop", policy, **SECRETS) as child:
            eventually(reached(moment, system, target), 60, f"it is {moment}")
            system.kill(child)
        if moment in {"taken", "partly"}:
            assert system.client.xlen(f"{INBOX}drop") == 1
            assert "accepted" not in system.names()
        target.pause = 0.0
        for key in system.client.scan_iter("{sfmc-import:events}:delivery:*"):
            # The lease of the dead one: 90 s for others.
            system.client.hset(key, "lease", 0)
        with running_source(system, "drop", policy, **SECRETS):
            eventually(lambda: system.sandbox.control.performs("orders"), 30, "it is delivered and started")
            handled(system)
        assert (target.root / "Import" / "orders_1.csv").read_bytes() == content
        assert (system.names().count("accepted"), len(system.sandbox.control.performs("orders"))) == (1, 1)


CUTS = [("store", "delivery_failed"), ("target", "target_unavailable")]


@pytest.mark.nightly
@pytest.mark.parametrize(("what", "said"), CUTS)
def test_a_store_or_a_target_that_is_cut_in_the_middle_of_a_file_delays_it_and_no_more(
    what: str, said: str, tmp_path: Path
) -> None:
    content = CONTENT * 1_500_000
    with aws_server() as aws, running_system() as system, SftpTestServer(tmp_path) as target:
        policy = prepared(system, aws, target, content)
        port = target.port if what == "target" else int(aws.url.rpartition(":")[2])
        with relay(port) as between:
            through = policy.replace(str(port), str(between.port))
            with (
                running_server(system, through, **SECRETS) as server,
                running_source(system, "drop", through, **SECRETS) as child,
            ):
                post(server, minio_post(aws))
                eventually(lambda: target.written > 300_000, 30, "a part is there")
                between.cut()
                eventually(lambda: said in system.log_of(child).read_text("utf-8"), 60, "the cut is said")
                assert "accepted" not in system.names()
                target.pause = 0.0
                between.restore()
                eventually(lambda: "completed" in system.names(), 60, "it is imported")
                handled(system)
        assert (target.root / "Import" / "orders_1.csv").read_bytes() == content
        assert (system.names().count("accepted"), len(system.sandbox.control.performs("orders"))) == (1, 1)


@pytest.mark.nightly
def test_after_an_end_in_order_in_the_middle_of_a_file_the_next_producer_goes_on_at_once(tmp_path: Path) -> None:
    content = CONTENT * 1_500_000
    with aws_server() as aws, running_system() as system, SftpTestServer(tmp_path) as target:
        policy = prepared(system, aws, target, content).replace('claim_after = "1s"', 'claim_after = "10m"')
        with running_server(system, policy, **SECRETS) as server:
            post(server, minio_post(aws))
        with running_source(system, "drop", policy, **SECRETS) as child:
            eventually(lambda: target.written > 300_000, 30, "a part is there")
        assert "accepted" not in system.names()
        log = system.log_of(child).read_text("utf-8")
        assert "sources_ended" in log
        assert "delivery_failed" not in log
        target.pause = 0.0
        with running_source(system, "drop", policy, **SECRETS):
            eventually(lambda: "completed" in system.names(), 60, "it is imported")
            handled(system)
        assert (target.root / "Import" / "orders_1.csv").read_bytes() == content

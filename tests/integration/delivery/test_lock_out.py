"""A refused login is not tried again, not by another process or after a restart either."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py
from pydantic import SecretStr

from sfmc_import.ledger.keys import Keys
from sfmc_producers.delivery.content import LocalFile
from sfmc_producers.delivery.deliveries import Target
from sfmc_producers.delivery.job import Job
from sfmc_producers.delivery.records import Held, Records
from sfmc_producers.delivery.sftp import SftpOptions, SftpSession
from sfmc_producers.stability import FileStat
from tests.integration.delivery.conftest import PASSWORD, Login, SftpServer
from tests.support.waiting import eventually


@pytest.fixture
def job(tmp_path: Path) -> Job[str]:
    path = tmp_path / "orders.csv"
    path.write_text("Key\n1\n")
    seen = path.stat()
    content = partial(LocalFile, path, FileStat("orders.csv", seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns))
    return Job("r1", "f1", "orders.csv", "sftp://there/Import", ("1", "orders"), content, lambda: "r1")


@pytest.fixture
def process(redis_server, sftp_server: SftpServer) -> Iterator[Callable[..., Target]]:
    """Makes what one process has of the target, with a password."""
    with redis_py.Redis.from_url(redis_server.url, socket_timeout=10) as client, ExitStack() as ended:

        def make(password: str, lock_out: float = 1800.0) -> Target:
            made = target(client, sftp_server, password, lock_out)
            ended.callback(made.close, 10)
            return made

        yield make


def target(client: Any, server: SftpServer, password: str, lock_out: float) -> Target:
    options = SftpOptions(
        host="127.0.0.1", port=server.port, user="u", host_keys=(server.fingerprint,), timeout=5, lock_out=lock_out
    )
    opened = partial(SftpSession, options, SecretStr(password))
    return Target("ftp", options, options.place, opened, Records(client, Keys(), 60), lambda: 0.5, "u@127.0.0.1")


def said(target: Target, job: Job[str], text: str) -> bool:
    answer = target.take(job)
    return isinstance(answer, Held) and text in answer.text


def test_after_a_refused_login_a_new_process_does_not_try_it(process, job) -> None:
    first, second = (process("wrong") for _ in range(2))
    eventually(lambda: said(first, job, "refuses the login"), 30, "it is refused")
    eventually(lambda: said(second, job, "refused a short time ago"), 30, "it is not tried")
    assert Login.tries == 1


def test_whoever_corrects_the_password_and_shortens_the_lock_out_is_let_in(process, sftp_server, job) -> None:
    wrong, right = process("wrong"), process(PASSWORD, 0.001)
    eventually(lambda: said(wrong, job, "refuses the login"), 30, "it is refused")
    eventually(lambda: right.take(job) == "r1", 30, "it is delivered")
    assert sftp_server.names() == ["orders.csv"]


def test_a_login_that_was_accepted_ends_the_lock_out_for_every_program(process, job) -> None:
    wrong, right = process("wrong"), process(PASSWORD, 0.001)
    eventually(lambda: said(wrong, job, "refuses the login"), 30, "it is refused")
    eventually(lambda: right.take(job) == "r1", 30, "it is delivered")
    usual, other = process(PASSWORD), replace(job, request_id="r2", fingerprint="f2")
    eventually(lambda: usual.take(other) == "r1", 30, "a program with the usual lock_out delivers at once")

"""What a host's thread meets while the broker or the ledger is unavailable: an answer, and never an endless wait."""

import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
import redis as redis_py

from sfmc_import.client import Client, ServiceUnavailableError
from sfmc_local.redis_server import Valkey, free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(60)
Make = Callable[..., Client]


@pytest.fixture
def make() -> Iterator[Make]:
    """Make clients; all are closed in the end."""
    with ExitStack() as stack:
        yield lambda url, **more: stack.enter_context(Client(url, mid="510001234", **more))


def forbid_xread(server: Valkey) -> None:
    """Make the user `limited` with the password `word`, who may do all else."""
    with redis_py.Redis.from_url(server.url, socket_timeout=10) as admin:
        admin.execute_command("ACL", "SETUSER", "limited", "on", ">word", "~*", "&*", "+@all", "-xread")


@contextmanager
def frozen(server: Valkey) -> Iterator[None]:
    """Stop the process: it accepts connections and answers nothing."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


@contextmanager
def black_hole() -> Iterator[str]:
    """Yield an address that takes no connection and refuses none: its queue of connections is full."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


@contextmanager
def nothing_listens() -> Iterator[str]:
    yield f"redis://127.0.0.1:{free_port()}/0"


@pytest.mark.parametrize("broker", [black_hole, nothing_listens])
def test_a_request_is_recorded_while_the_broker_cannot_be_reached(
    broker: Callable[[], "ExitStack"], make: Make, redis: redis_py.Redis, redis_server: Valkey, caplog
) -> None:
    with broker() as address, caplog.at_level(logging.WARNING):
        client = make(redis_server.url, broker_url=address)
        result = client.submit(customer_key="contacts")

    assert result.is_new
    assert redis.zcard("{sfmc-import:events}:due") == 1, "the sweep will wake it"
    [record] = [each for each in caplog.records if each.name == "sfmc_import.client"]
    assert (record.event, record.request_id) == ("message_not_sent", result.request_id)  # type: ignore[attr-defined]
    assert record.message.startswith(f"request {result.request_id} is recorded, its message was not sent (")
    assert record.message.endswith("); the sweep sends it")


@pytest.mark.parametrize("used_before", [True, False])
def test_a_request_is_recorded_while_the_broker_is_frozen_and_its_next_messages_are_sent_after_it(
    used_before: bool, make: Make, redis: redis_py.Redis, redis_server: Valkey, own_valkey: Valkey
) -> None:
    client = make(redis_server.url, broker_url=own_valkey.tcp_url)
    if used_before:
        client.submit(customer_key="contacts")
    with frozen(own_valkey):
        assert client.submit(customer_key="contacts").is_new

    client.submit(customer_key="contacts")

    with redis_py.Redis.from_url(own_valkey.url, socket_timeout=10) as broker:
        eventually(lambda: broker.llen("imports") >= 1 + used_before, 10, "the messages arrived")
    assert redis.zcard("{sfmc-import:events}:due") == 2 + used_before


def test_a_message_is_sent_on_a_new_connection_after_the_broker_was_restarted(
    make: Make, redis: redis_py.Redis, redis_server: Valkey, own_valkey: Valkey
) -> None:
    client = make(redis_server.url, broker_url=own_valkey.tcp_url)
    client.submit(customer_key="contacts")
    own_valkey.kill()
    client.submit(customer_key="contacts")
    own_valkey.restart()

    client.submit(customer_key="contacts")

    with redis_py.Redis.from_url(own_valkey.url, socket_timeout=10) as broker:
        assert broker.llen("imports") == 2


@pytest.mark.parametrize("ledger", [black_hole, nothing_listens])
def test_a_ledger_that_cannot_be_reached_is_an_error_that_names_it(ledger, make: Make) -> None:
    with ledger() as address, pytest.raises(ServiceUnavailableError, match=f"Redis at {address} does not answer"):
        make(address).submit(customer_key="contacts")


def test_a_frozen_ledger_is_an_error_and_the_next_request_is_taken(make: Make, own_valkey: Valkey) -> None:
    client = make(own_valkey.tcp_url)
    client.submit(customer_key="contacts")
    with frozen(own_valkey), pytest.raises(ServiceUnavailableError):
        client.submit(customer_key="contacts")

    assert client.submit(customer_key="contacts").is_new


def test_a_user_who_may_not_read_events_gets_an_error_that_says_so(make: Make, own_valkey: Valkey) -> None:
    client = make(own_valkey.tcp_url.replace("//", "//limited:word@", 1))
    forbid_xread(own_valkey)
    request_id = client.submit(customer_key="contacts").request_id

    with pytest.raises(ServiceUnavailableError, match=r"refused a command: .*xread"):
        list(client.follow(request_id, within=30))


def test_an_error_of_the_program_that_follows_stays_what_it_is(make: Make, own_valkey: Valkey) -> None:
    client = make(own_valkey.tcp_url)
    request_id = client.submit(customer_key="contacts").request_id

    def follow() -> None:
        for _ in client.follow(request_id, within=30):
            raise redis_py.ResponseError("the program's own")

    with pytest.raises(redis_py.ResponseError, match="own"):
        follow()


def test_an_outage_while_events_are_followed_is_a_sentence_with_its_name(
    make: Make, own_valkey: Valkey, caplog
) -> None:
    client = make(own_valkey.tcp_url)
    events = client.follow(client.submit(customer_key="contacts").request_id, within=0.5)
    next(events)
    own_valkey.kill()
    with caplog.at_level(logging.WARNING):
        assert list(events) == []

    [record] = [each for each in caplog.records if each.name == "sfmc_import.client"]
    assert record.event == "redis_unreachable"  # type: ignore[attr-defined]
    assert record.message.startswith(f"Redis at {own_valkey.tcp_url} does not answer (")

"""Host programs that share one client among their workers: `python -m tests.integration.client.programs NAME URL`."""

import asyncio
import gc
import multiprocessing
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress

import psutil

from sfmc_import.client import Client, ServiceUnavailableError

WORKERS = 8
EACH = 25


def submit_some(client: Client, name: str) -> None:
    """Submit as one worker of a host does."""
    for number in range(EACH):
        client.submit(customer_key="contacts", source=f"{name} {number}")


def threads(client: Client) -> None:
    """Many threads, one client."""
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda name: submit_some(client, f"thread {name}"), range(WORKERS)))


def fork(client: Client) -> None:
    """Children of a process that has submitted already, while it goes on."""
    submit_some(client, "before the fork")
    children = [_forked(client, number) for number in range(WORKERS - 2)]
    submit_some(client, "parent")
    ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    if any(ended):
        raise SystemExit(f"children ended with {ended}")


def _forked(client: Client, number: int) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        submit_some(client, f"child {number}")
        client.close()
        code = 0
    finally:
        os._exit(code)


def processes(client: Client) -> None:
    """A pool of multiprocessing that inherits a client in use."""
    submit_some(client, "parent")
    made = [
        multiprocessing.get_context("fork").Process(target=submit_some, args=(client, f"process {number}"))
        for number in range(WORKERS - 1)
    ]
    for process in made:
        process.start()
    for process in made:
        process.join()
    if any(process.exitcode for process in made):
        raise SystemExit("a process failed")


def coroutines(client: Client) -> None:
    """An asyncio program, as the documentation of the client says."""
    asyncio.run(_main(client))


async def _main(client: Client) -> None:
    calls = [asyncio.to_thread(client.submit, customer_key="contacts", source=str(n)) for n in range(WORKERS * EACH)]
    await asyncio.gather(*calls)


def closing(client: Client) -> None:
    """Threads that submit while another closes the client again and again."""
    with ThreadPoolExecutor(WORKERS) as pool:
        running = [pool.submit(_submit_or_unavailable, client) for _ in range(WORKERS)]
        while wait(running, timeout=0.01).not_done:
            client.close()
        for each in running:
            each.result()
    client.close()
    if psutil.Process().net_connections("all"):
        raise SystemExit("connections stayed open")


def _submit_or_unavailable(client: Client) -> None:
    for _ in range(EACH):
        with suppress(ServiceUnavailableError):
            client.submit(customer_key="contacts")


def first_use(client: Client) -> None:
    """Threads that use a new client for the first time at the same moment, often."""
    sys.setswitchinterval(1e-5)
    with ThreadPoolExecutor(WORKERS) as pool:
        for _ in range(EACH):
            _use_at_once(client, pool)
            client.close()
    gc.collect()


def _use_at_once(client: Client, pool: ThreadPoolExecutor) -> None:
    barrier = threading.Barrier(WORKERS)

    def use(_: int) -> object:
        barrier.wait()
        client.submit(customer_key="contacts")
        return client._connections()

    found = set(map(id, list(pool.map(use, range(WORKERS)))))
    if len(found) > 1:
        raise SystemExit(f"{len(found)} sets of connections were opened")


PROGRAMS = {"threads": threads, "fork": fork, "processes": processes, "coroutines": coroutines}
CLOSING_PROGRAMS = {"closing": closing, "first_use": first_use}

if __name__ == "__main__":
    with Client(sys.argv[2], mid="510001234") as shared:
        (PROGRAMS | CLOSING_PROGRAMS)[sys.argv[1]](shared)

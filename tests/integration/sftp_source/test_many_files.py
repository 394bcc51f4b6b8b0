"""A folder with very many files: streamed, and the memory for handled ones is a small bound for each name."""

import gc

import psutil
import pytest

from sfmc_import.routing import Route
from tests.support.sftp_server import entry


def numbered(count):
    async def given(_path):
        for number in range(count):
            yield entry(f"contacts_{number:06}.csv".encode(), mtime=1_700_000_000 + number)

    return given


@pytest.mark.nightly
def test_a_hundred_thousand_files_are_taken_once_and_further_listings_keep_the_memory_flat(watched, client, server):
    client.submit = lambda **given: client.requests.setdefault(given["request_id"], None) or None
    server.entries = numbered(100_000)
    watched.pass_time(2)
    rss = []
    for _ in range(3):
        watched.pass_time(60)
        gc.collect()
        rss.append(psutil.Process().memory_info().rss)
    assert rss[-1] - rss[0] < 8_000_000

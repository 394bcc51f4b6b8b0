"""A folder with very many files: streamed, and the memory for handled ones is a small bound for each name."""

import json
import subprocess
import sys

import pytest

from tests.support.sftp_server import entry

COUNT = 100_000
MOST_BYTES_EACH = 300


def numbered(count):
    async def given(_path):
        for number in range(count):
            yield entry(f"contacts_{number:06}.csv".encode(), mtime=1_700_000_000 + number)

    return given


def listed(server, count):
    """The lines of the program for a folder with so many files."""
    server.entries = numbered(count)
    command = [sys.executable, "-m", "tests.integration.sftp_source.many_files", str(server.port), server.fingerprint]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.nightly
def test_each_of_100000_files_is_taken_once_and_handled_ones_cost_a_few_bytes_each(server):
    few, many = listed(server, 10), listed(server, COUNT)
    assert many[-1]["taken"] == COUNT
    assert many[-1]["rss"] - many[3]["rss"] < 1_000_000
    assert many[-1]["rss"] - few[-1]["rss"] < COUNT * MOST_BYTES_EACH

"""The bench of the delivery sends one file both ways to one server, and compares what lies there."""

import shutil

import pytest

from sfmc_harness.bench.delivery import figures


@pytest.mark.skipif(shutil.which("sftp") is None, reason="OpenSSH's sftp is not installed")
def test_a_file_is_sent_both_ways_and_their_rates_are_divided() -> None:
    [figure] = figures(3 * 1024 * 1024)
    assert figure.value > 0
    assert "3 MB, server: " in figure.detail

"""The certificates that the repository has, whose keys everybody knows, can sign no other certificate."""

import ssl
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = [file for folder in ("ops", "tests", "worker", "producers") for file in (ROOT / folder).rglob("*.pem")]
NO_AUTHORITY = bytes.fromhex("0603551d130101ff04023000")  # basicConstraints, critical, without cA
FOR_SERVERS = bytes.fromhex("06082b06010505070301")  # serverAuth


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_certificate_is_for_servers_and_no_authority(file: Path) -> None:
    content = ssl.PEM_cert_to_DER_cert(file.read_text().partition("-----BEGIN PRIVATE")[0])

    assert (NO_AUTHORITY in content, FOR_SERVERS in content) == (True, True)


def test_there_are_certificates() -> None:
    assert len(FILES) >= 2

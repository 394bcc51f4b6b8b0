"""PGP is decrypted between two pipes; the wrong key and a damaged file have one clear end each."""

import io
import os
import subprocess
from pathlib import Path

import pytest
from pydantic import SecretStr

from sfmc_import.errors import SettingsError
from sfmc_producers.content_errors import ContentDamagedError, ContentLockedError, ContentUnavailableError
from sfmc_producers.delivery.pgp import MEMORY, Pgp
from sfmc_producers.delivery.unpacking import Limits, unpacked
from tests.support.pgp_keys import PgpKeys

CONTENT = os.urandom(8_000_000)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    with PgpKeys(tmp_path_factory.mktemp("keys") / "k") as made:
        yield made


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    with PgpKeys(tmp_path_factory.mktemp("others") / "k", "a-passphrase-of-this-test") as made:
        yield made


@pytest.fixture(scope="module")
def pgp(keys):
    made = Pgp(SecretStr(keys.private()), None, "SFMC_TARGET_FTP_PGP_KEY")
    yield made
    made.close()


@pytest.fixture(scope="module")
def encrypted(keys) -> bytes:
    return keys.encrypted(CONTENT)


def opened(content: bytes, pgp: Pgp, limits: Limits = Limits()):  # noqa: B008 - it is frozen
    return unpacked(lambda: io.BytesIO(content), ["pgp"], limits, pgp.open)()


def read(content: bytes, pgp: Pgp, limits: Limits = Limits()) -> bytes:  # noqa: B008
    with opened(content, pgp, limits) as plain:
        return b"".join(iter(lambda: plain.read(1_000_000), b""))


def test_a_file_is_decrypted_and_the_same_bytes_come_again(encrypted, pgp) -> None:
    assert read(encrypted, pgp) == CONTENT
    assert read(encrypted, pgp) == CONTENT


@pytest.mark.nightly
def test_a_key_with_a_passphrase_opens_what_is_encrypted_for_it(others) -> None:
    made = Pgp(SecretStr(others.private()), SecretStr("a-passphrase-of-this-test"), "X")
    try:
        assert read(others.encrypted(CONTENT), made) == CONTENT
    finally:
        made.close()


@pytest.mark.parametrize("passphrase", ["wrong", None])
def test_a_wrong_passphrase_is_no_damage_of_the_file(others, passphrase) -> None:
    made = Pgp(SecretStr(others.private()), SecretStr(passphrase) if passphrase else None, "X")
    try:
        with pytest.raises(ContentLockedError, match="cannot open it"):
            read(others.encrypted(CONTENT), made)
    finally:
        made.close()


def test_a_file_for_another_key_names_that_key(others, pgp) -> None:
    with pytest.raises(ContentLockedError, match=r"encrypted for key [0-9A-F]{16}"):
        read(others.encrypted(CONTENT), pgp)


@pytest.mark.parametrize("place", [0.5, 0.999999])
def test_a_flipped_bit_is_found_before_the_end_is_read(encrypted, pgp, place) -> None:
    changed = bytearray(encrypted)
    changed[int(len(changed) * place)] ^= 1
    with pytest.raises(ContentDamagedError):
        read(bytes(changed), pgp)


@pytest.mark.parametrize("content", [b"", b"Key,Value\n" * 1000], ids=["empty", "not encrypted"])
def test_what_is_no_pgp_is_damaged(content, pgp) -> None:
    with pytest.raises(ContentDamagedError):
        read(content, pgp)


def test_a_file_that_was_cut_is_damaged(encrypted, pgp) -> None:
    with pytest.raises(ContentDamagedError):
        read(encrypted[:-30], pgp)


def test_what_compresses_inside_is_bounded_too(keys, pgp) -> None:
    bomb = keys.encrypted(bytes(40_000_000))
    assert len(bomb) < 1_000_000
    with pytest.raises(ContentDamagedError, match="max_ratio"):
        read(bomb, pgp)


def test_a_source_that_fails_on_the_way_is_not_taken_for_a_damaged_file(encrypted, pgp) -> None:
    class Cut(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 3_000_000:
                raise ContentUnavailableError("the connection was cut")
            return super().read(size)

    with unpacked(lambda: Cut(encrypted), ["pgp"], Limits(), pgp.open)() as plain:
        pieces = iter(lambda: plain.read(1_000_000), b"")
        with pytest.raises(ContentUnavailableError, match="was cut"):
            list(pieces)


def test_who_reads_the_beginning_ends_gnupg_by_closing(encrypted, pgp) -> None:
    with opened(encrypted, pgp) as plain:
        assert plain.read(10) == CONTENT[:10]
    assert not running("--decrypt", pgp)


def test_no_private_key_is_left_after_the_end(keys) -> None:
    made = Pgp(SecretStr(keys.private()), None, "X")
    home = Path(made._home)
    assert home.stat().st_mode & 0o077 == 0
    assert home.parent == MEMORY or not MEMORY.is_dir()
    made.close()
    assert not home.exists()


@pytest.mark.parametrize("text", ["", "no key"])
def test_a_setting_that_is_no_private_key_is_named(text) -> None:
    with pytest.raises(SettingsError, match="SFMC_TARGET_FTP_PGP_KEY: it holds no private key"):
        Pgp(SecretStr(text), None, "SFMC_TARGET_FTP_PGP_KEY")


def running(word: str, pgp: Pgp) -> bool:
    """Tell whether a GnuPG of these keys runs with this word."""
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return any(pgp._home in line and word in line for line in found.splitlines())


@pytest.mark.parametrize("share", [0.006, 0.2, 0.6, 0.98])
def test_a_small_file_is_damaged_wherever_it_was_cut(keys, pgp, share) -> None:
    whole = keys.encrypted(os.urandom(1000))
    with pytest.raises(ContentDamagedError):
        read(whole[: int(len(whole) * share)], pgp)

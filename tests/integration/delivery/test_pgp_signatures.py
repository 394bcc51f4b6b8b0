"""With `verify_with` a file is whole only when a key that its route trusts has signed it."""

import io
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr

from sfmc_import.errors import SettingsError
from sfmc_import.settings import Route
from sfmc_producers.content_errors import ContentDamagedError, ContentLockedError, ContentUnsignedError
from sfmc_producers.delivery.opening import require_keys
from sfmc_producers.delivery.pgp import Pgp
from tests.support.pgp_keys import LONG_AGO, PgpKeys

CONTENT = os.urandom(3_000_000)


class World:
    """Keys of a target, and those of two partners; the file of one is trusted."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.keys = stack.enter_context(PgpKeys(folder / "keys"))
        self.partner = stack.enter_context(PgpKeys(folder / "partner", usage="sign", since_long=True))
        self.stranger = stack.enter_context(PgpKeys(folder / "stranger", usage="sign"))
        self.past = stack.enter_context(PgpKeys(folder / "past", usage="sign", expires="1d"))
        self.pgp = Pgp(SecretStr(self.keys.private()), None, "SFMC_TARGET_FTP_PGP_KEY")
        stack.callback(self.pgp.close)
        self.file, self.other = folder / "partner.asc", folder / "stranger.asc"
        self.file.write_bytes(self.partner.public() + self.past.public())
        self.other.write_bytes(self.stranger.public())
        self.pgp.trust([str(self.file), str(self.other)], "route")

    def read(self, content: bytes, *verify_with: Path) -> bytes:
        with self.pgp.open(io.BufferedReader(io.BytesIO(content)), [str(each) for each in verify_with]) as plain:  # type: ignore[arg-type]
            return b"".join(iter(lambda: plain.read(1_000_000), b""))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(tmp_path_factory.mktemp("keys"), stack)


def test_a_file_that_a_trusted_key_has_signed_is_read_whole(world) -> None:
    assert world.read(world.partner.signed_for(world.keys, CONTENT), world.file) == CONTENT


def test_any_of_several_files_of_keys_may_have_signed(world) -> None:
    assert world.read(world.stranger.signed_for(world.keys, CONTENT), world.file, world.other) == CONTENT


def unsigned(world: World) -> bytes:
    return world.keys.encrypted(CONTENT)


def of_another(world: World) -> bytes:
    """The key is known to GnuPG, by another route; this route does not name it."""
    return world.stranger.signed_for(world.keys, CONTENT)


def changed(world: World) -> bytes:
    message = bytearray(world.partner.signed(CONTENT))
    message[len(message) // 2] ^= 1
    return world.keys.wrapped(bytes(message))


def too_old(world: World) -> bytes:
    return world.keys.wrapped(world.partner.signed(CONTENT, *LONG_AGO, "--default-sig-expire", "1d"))


def with_an_expired_key(world: World) -> bytes:
    return world.keys.wrapped(world.past.signed(CONTENT, *LONG_AGO))


WRONG = [
    (unsigned, "is not signed"),
    (of_another, "which is in no file of verify_with"),
    (changed, "not that of its content"),
    (too_old, "has expired"),
    (with_an_expired_key, "has expired"),
]


@pytest.mark.parametrize(("made", "said"), WRONG, ids=[each.__name__ for each, _ in WRONG])
def test_a_file_without_a_valid_signature_of_a_trusted_key_is_rejected(world, made, said) -> None:
    with pytest.raises(ContentUnsignedError, match=said) as raised:
        world.read(made(world), world.file)
    assert raised.value.code == "bad_signature"


def test_a_key_that_gnupg_does_not_know_at_all_is_named(world, tmp_path) -> None:
    with PgpKeys(tmp_path / "unknown", usage="sign") as unknown:
        content = unknown.signed_for(world.keys, CONTENT)
    with pytest.raises(ContentUnsignedError, match=r"signed with key [0-9A-F]{16}, which is in no file"):
        world.read(content, world.file)


def test_a_signed_file_that_is_not_encrypted_is_no_file_of_this_route(world) -> None:
    with pytest.raises(ContentDamagedError):
        world.read(world.partner.signed(CONTENT), world.file)


@pytest.mark.parametrize("place", ["before", "behind", "outside"])
def test_what_stands_beside_the_signed_content_is_never_read_as_signed(world, place) -> None:
    signed, other = world.partner.signed(CONTENT), world.keys.literal(b"Key,Value\n1,not signed\n")
    content = {
        "before": world.keys.wrapped(other + signed),
        "behind": world.keys.wrapped(signed + other),
        "outside": signed + world.keys.encrypted(CONTENT),
    }[place]
    with pytest.raises(ContentDamagedError):
        world.read(content, world.file)


def test_a_signed_file_that_was_cut_or_is_for_another_key_ends_as_without_verify_with(world, tmp_path) -> None:
    content = world.partner.signed_for(world.keys, CONTENT)
    with pytest.raises(ContentDamagedError):
        world.read(content[:-3000], world.file)
    with PgpKeys(tmp_path / "other") as other:
        foreign = other.encrypted(CONTENT)
    with pytest.raises(ContentLockedError):
        world.read(foreign, world.file)


def test_without_verify_with_signatures_are_not_looked_at(world) -> None:
    assert world.read(with_an_expired_key(world)) == CONTENT


@pytest.mark.parametrize(
    ("content", "said"), [(None, "No such file"), (b"no key", "holds no public key"), (b"x" * 1_100_000, "no public")]
)
def test_a_file_that_holds_no_public_key_stops_the_program_with_one_line(world, tmp_path, content, said) -> None:
    file = tmp_path / "partner.asc"
    if content is not None:
        file.write_bytes(content)
    routes = [Route(pattern="*.pgp", customer_key="k", deliver="ftp", unpack=("pgp",), verify_with=(str(file),))]
    options = SimpleNamespace(location=None)
    target: Any = SimpleNamespace(decrypt=world.pgp, name="ftp", kind="sftp", options=options)
    with pytest.raises(SettingsError, match=rf"route \*\.pgp verify_with: .*partner\.asc: .*{said}"):
        require_keys(routes, {"ftp": target})

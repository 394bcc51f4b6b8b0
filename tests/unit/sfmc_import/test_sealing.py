"""Sealing: what was sealed is opened with the same key about the same thing, and by nothing else."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfmc_import.sealing import Seal
from sfmc_import.secret_forms import read_key

KEY = bytes(range(32))
SEAL = Seal(KEY)
ENCODED = base64.urlsafe_b64encode(KEY).decode()


@given(text=st.binary(max_size=100), about=st.binary(max_size=50))
def test_what_was_sealed_is_opened(text: bytes, about: bytes):
    sealed = SEAL.close(text, about)

    assert Seal(KEY).open(sealed, about) == text
    assert sealed != SEAL.close(text, about)
    assert SEAL.open(sealed, about + b"x") is None
    assert SEAL.open(sealed.removeprefix("1."), about) is None
    assert Seal(KEY[::-1]).open(sealed, about) is None


@given(place=st.integers(0, 60), letter=st.sampled_from("AZaz09-_.=é"))
def test_what_was_changed_is_not_opened(place: int, letter: str):
    sealed = SEAL.close(b"a text", b"about")
    # The last letter of base64 has bits that say nothing.
    place %= len(sealed.rstrip("=")) - 1
    changed = sealed[:place] + letter + sealed[place + 1 :]

    assert (SEAL.open(changed, b"about") is None) is (changed != sealed)


@pytest.mark.parametrize("text", ["", "1.", "1.AAAA", "a text", "1." + "A" * 16, "\ud800"])
def test_what_is_no_seal_is_not_opened(text: str):
    assert SEAL.open(text, b"") is None


def test_a_name_depends_on_the_key_and_says_nothing():
    assert SEAL.name(b"a") == Seal(KEY).name(b"a")
    assert len({SEAL.name(b"a"), SEAL.name(b"b"), Seal(KEY[::-1]).name(b"a")}) == 3


@pytest.mark.parametrize("text", [ENCODED, ENCODED.rstrip("="), f" {ENCODED}\n"])
def test_a_key_is_read(text: str):
    assert read_key(text) == KEY


@pytest.mark.parametrize("text", ["", "short", ENCODED + "A", ENCODED[:-2], "+" + ENCODED[1:], "ü" + ENCODED[1:]])
def test_what_is_no_key_is_refused_without_being_shown(text: str):
    with pytest.raises(ValueError, match="not 32 bytes as url-safe base64; make a key with: openssl") as refusal:
        read_key(text)

    assert not text or text not in str(refusal.value)


def test_a_seal_shows_no_key():
    assert not any(str(each) in repr(SEAL) + str(vars(SEAL).keys()) for each in (KEY, ENCODED))

"""Bodies that are packed: read up to a limit, whatever they were packed with."""

import base64
import bz2
import lzma
import tracemalloc
import zlib

import pytest
from kombu import compression

from sfmc_transport.channel import Received
from sfmc_transport.delivery import MAX_MESSAGE_BYTES, OversizedEntryError, UndecodableEntryError, decode, read_entry
from sfmc_transport.unpacking import UNPACKERS, OversizedError, unpacked
from tests.unit.sfmc_transport.test_delivery import Codec, encoded, message

PLAIN = b'[["daily"], {}, null]'
PACKERS = {
    "application/x-gzip": lambda: zlib.compressobj(9),
    "application/x-bz2": bz2.BZ2Compressor,
    "application/x-lzma": lambda: lzma.LZMACompressor(preset=1),
}


def packed(name: str, *pieces: bytes) -> bytes:
    packer = PACKERS[name]()
    return b"".join([packer.compress(piece) for piece in pieces] + [packer.flush()])


def received(body: bytes, **changes) -> Received:
    shown = base64.b64encode(body).decode()
    payload = read_entry(encoded(message(body=shown, **changes)))
    return decode(lambda: Received(payload, channel=Codec()))


@pytest.mark.parametrize("name", PACKERS)
def test_a_packed_body_is_read_as_kombu_reads_it(name):
    seen = received(packed(name, PLAIN), headers={"task": "imports.start", "compression": name})

    assert seen.payload == [["daily"], {}, None]
    assert seen.headers == {"task": "imports.start", "compression": name}


@pytest.mark.parametrize("name", PACKERS)
def test_a_body_that_is_too_large_unpacked_is_refused_without_unpacking_the_rest(name):
    bomb = packed(name, *[b" " * MAX_MESSAGE_BYTES] * 64)
    tracemalloc.start()
    try:
        with pytest.raises(OversizedEntryError, match=f"more than {MAX_MESSAGE_BYTES} bytes unpacked") as refused:
            received(bomb, headers={"task": "imports.start", "compression": name})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert refused.value.reason == "too_large"
    assert peak < 20 * MAX_MESSAGE_BYTES


@pytest.mark.parametrize("name", PACKERS)
@pytest.mark.parametrize("size", [0, 1, 999, 1000])
def test_a_body_up_to_the_limit_is_unpacked_whole(name, size):
    assert unpacked(packed(name, b"x" * size), name, limit=1000) == b"x" * size


@pytest.mark.parametrize("name", PACKERS)
def test_one_byte_more_than_the_limit_is_too_much(name):
    with pytest.raises(OversizedError):
        unpacked(packed(name, b"x" * 1001), name, limit=1000)


@pytest.mark.parametrize("name", PACKERS)
def test_half_of_a_packed_body_is_none(name):
    with pytest.raises(UndecodableEntryError, match="body"):
        received(packed(name, PLAIN)[:-6], headers={"compression": name})


def test_every_way_to_pack_that_kombu_knows_is_unpacked_within_the_limit():
    named = {*compression.encoders(), "gzip", "zlib", "bzip2", "bzip", "lzma", "xz"}

    assert named - {"application/x-brotli"} <= set(UNPACKERS)


@pytest.mark.parametrize("name", ["application/x-brotli", "brotli", "unheard-of", 7, ["gzip"], {"gzip": 1}])
def test_a_compression_that_has_no_limit_is_refused_by_name(name):
    with pytest.raises(UndecodableEntryError, match="are not unpacked"):
        received(b"x", headers={"compression": name})


def test_a_decoder_of_xz_that_would_take_much_memory_is_refused():
    # The head of a stream asks for a dictionary of 1 GiB.
    packed_whole = lzma.compress(PLAIN, format=lzma.FORMAT_ALONE)
    greedy = packed_whole[:1] + (1 << 30).to_bytes(4, "little") + packed_whole[5:]

    with pytest.raises(UndecodableEntryError, match="emory"):
        received(greedy, headers={"compression": "xz"})


@pytest.mark.parametrize("codec", ["zlib", "bz2", "zlib_codec", "hex", "punycode"])
def test_the_content_encoding_of_a_message_names_no_codec_of_python(codec):
    bomb = packed("application/x-gzip", b" " * 5_000_000)
    changes = {"content-type": "application/data", "content-encoding": codec}

    with pytest.raises(Exception, match="utf-8"):
        _ = received(bomb, **changes).payload


def test_a_message_above_the_limit_is_refused_before_it_is_parsed():
    raw = encoded(message(headers={"x": "y" * MAX_MESSAGE_BYTES}))

    with pytest.raises(OversizedEntryError, match=f"{len(raw)} bytes"):
        read_entry(raw)

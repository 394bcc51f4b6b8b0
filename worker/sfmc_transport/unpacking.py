"""Unpacks the body of a message up to a limit, which kombu has not, and reads JSON; its tables are left alone."""

import bz2
import json
import lzma
import zlib
from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, Protocol

from kombu.utils.json import loads as loads_with_types

MAX_MESSAGE_BYTES = 1_048_576
"""A message as it stands in its queue, and its body unpacked; those of imports have about 1,500 bytes."""

XZ_MEMORY = 104_857_600
"""What a message may make the decoder of xz allocate; the highest preset needs 68,000,000 bytes."""


class OversizedError(Exception):
    """A message has more bytes than it may have, or would have them once unpacked."""


class Unpacker(Protocol):
    """The decompressor of a standard library, for one body."""

    @property
    def eof(self) -> bool:
        """Whether the end of the packed data was reached."""
        ...

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Unpack at most so many bytes."""
        ...


def _zstd() -> Unpacker:
    try:
        found = import_module("compression.zstd")
    except ImportError:
        found = import_module("backports.zstd")
    made: Unpacker = found.ZstdDecompressor()
    return made


UNPACKERS: Mapping[str, Callable[[], Any]] = MappingProxyType(
    {
        **dict.fromkeys(("application/x-gzip", "gzip", "zlib"), lambda: zlib.decompressobj(zlib.MAX_WBITS | 32)),
        **dict.fromkeys(("application/x-bz2", "bzip2", "bzip"), bz2.BZ2Decompressor),
        **dict.fromkeys(("application/x-lzma", "lzma", "xz"), lambda: lzma.LZMADecompressor(memlimit=XZ_MEMORY)),
        **dict.fromkeys(("application/zstd", "zstd", "zstandard"), _zstd),
    }
)
"""By what kombu writes into the header `compression`. Not brotli: its usual decoder cannot stop at a limit."""


def unpacked(body: bytes | str, compression: object, limit: int = MAX_MESSAGE_BYTES) -> bytes:
    """Unpack a body, one byte more than `limit` at most.

    Raises:
        OversizedError: it has more bytes.
        Exception: whatever the decoder says of a body that it cannot read; LookupError for an unknown compression.
    """
    make = UNPACKERS.get(compression) if isinstance(compression, str) else None
    if make is None:
        raise LookupError(f"bodies with the compression {str(compression)[:40]!r} are not unpacked")
    unpacker = make()
    whole = bytes(unpacker.decompress(body.encode() if isinstance(body, str) else body, limit + 1))
    if len(whole) > limit:
        raise OversizedError(f"its body has more than {limit} bytes unpacked")
    if not unpacker.eof:
        raise EOFError("the packed body has no end")
    return whole


_NAME_OF_A_TYPE = b"__type__"
_ESCAPED = b"\\u00"
"""Begins every escape of an ASCII character: with it the name may be written otherwise."""


def read_json(raw: bytes) -> Any:
    """Read JSON as kombu does. It asks a function about each object, also where none can be of a type that it knows."""
    if _NAME_OF_A_TYPE in raw or _ESCAPED in raw:
        return loads_with_types(raw)
    return json.loads(raw.decode())

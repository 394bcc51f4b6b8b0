"""Reads JSON as kombu does, at less cost where nothing in it can be one of the types that kombu knows."""

import json
from typing import Any

from kombu.utils.json import loads as loads_with_types

_NAME_OF_A_TYPE = b"__type__"
_ESCAPED = b"\\u00"
"""Begins every escape of an ASCII character: with it the name may be written otherwise."""


def loads(raw: bytes) -> Any:
    """Read a text; kombu asks a function about each of its objects, which is a third to a half of the time."""
    if _NAME_OF_A_TYPE in raw or _ESCAPED in raw:
        return loads_with_types(raw)
    return json.loads(raw.decode())

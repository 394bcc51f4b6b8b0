"""The kinds of sources; each is imported when the policy file has one: its library may be missing."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from sfmc_producers.sources.tables import Kind


def _stream() -> Kind:
    from sfmc_producers.sources import stream  # noqa: PLC0415

    return stream.KIND


def _push() -> Kind:
    from sfmc_producers.push import options  # noqa: PLC0415

    return options.KIND


KINDS: Mapping[str, Callable[[], Kind]] = MappingProxyType({"push": _push, "stream": _stream})

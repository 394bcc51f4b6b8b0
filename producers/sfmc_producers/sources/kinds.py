"""The kinds of sources; each is imported when the policy file has one: its library may be missing."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from sfmc_import.errors import extra_needed
from sfmc_producers.sources.tables import Kind


def _azure_queue() -> Kind:
    with extra_needed('kind = "azure-queue"', "azure"):
        from sfmc_producers.sources import azure_queue  # noqa: PLC0415

    return azure_queue.KIND


def _sqs() -> Kind:
    with extra_needed('kind = "sqs"', "aws"):
        from sfmc_producers.sources import sqs  # noqa: PLC0415

    return sqs.KIND


def _folder() -> Kind:
    from sfmc_producers.sources import folder  # noqa: PLC0415

    return folder.KIND


def _stream() -> Kind:
    from sfmc_producers.sources import stream  # noqa: PLC0415

    return stream.KIND


def _push() -> Kind:
    from sfmc_producers.push import options  # noqa: PLC0415

    return options.KIND


def _sftp() -> Kind:
    with extra_needed('kind = "sftp"', "sftp"):
        from sfmc_producers.sources.sftp import kind  # noqa: PLC0415

    return kind.KIND


KINDS: Mapping[str, Callable[[], Kind]] = MappingProxyType({
    "azure-queue": _azure_queue,
    "folder": _folder,
    "push": _push,
    "sftp": _sftp,
    "sqs": _sqs,
    "stream": _stream,
})  # fmt: skip

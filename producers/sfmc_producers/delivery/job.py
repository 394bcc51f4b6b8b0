"""Delivers one file and submits its request: each step can be repeated after a crash at any other."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sfmc_producers.checked_files import OpenContent
from sfmc_producers.delivery.names import temporary_name
from sfmc_producers.delivery.records import Held, Lease, Mine, Records
from sfmc_producers.delivery.targets import Session

RENAME_SECONDS = 35.0
SUBMIT_SECONDS = 15.0
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Job(Generic[A]):
    """One file under one name of a target; `submit` records its request and gives None when that is not possible now.

    `lane` is the definition: of one definition one file is delivered at a time, so that they stay in order.
    """

    request_id: str
    fingerprint: str
    name: str
    place: str
    lane: tuple[str, str]
    open_content: OpenContent
    submit: Callable[[], A | None]


def deliver(job: Job[A], records: Records, session: Callable[[], Session]) -> A | Held | None:
    """Deliver unless that was done, then submit; the name stays ours until both are done."""
    claim = records.claim(f"{job.place}/{job.name}", job.fingerprint, job.request_id)
    if isinstance(claim, Held):
        return claim
    try:
        if isinstance(claim, Mine):
            _put(job, claim, session())
            claim.lease.note(state="delivered")
        claim.lease.require(SUBMIT_SECONDS)
        return job.submit()
    finally:
        claim.lease.end()


def _put(job: Job[Any], claim: Mine, session: Session) -> None:
    lease: Lease = claim.lease
    temporary = temporary_name(job.fingerprint)
    if claim.left_over:
        session.discard(temporary_name(claim.left_over))
    # Only the holder of the name removes the temporary file, by renaming it: without it the rename was done.
    if claim.is_renaming and session.size(temporary) is None and session.size(job.name) == claim.size:
        return
    size = session.upload(temporary, job.open_content, lambda _: lease.keep())
    lease.note(state="renaming", size=size)
    lease.require(RENAME_SECONDS)
    session.rename(temporary, job.name, size)

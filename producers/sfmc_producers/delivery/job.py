"""Delivers one file and submits its request: each step can be repeated after a crash at any other."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sfmc_producers.checked_files import OpenContent
from sfmc_producers.content_errors import ContentDamagedError, ContentError, ContentGoneError, ContentLockedError
from sfmc_producers.delivery.names import temporary_name
from sfmc_producers.delivery.records import Held, Lease, Mine, Records
from sfmc_producers.delivery.targets import Session

RENAME_SECONDS = 35.0
SUBMIT_SECONDS = 15.0
UNUSABLE = (ContentDamagedError, ContentGoneError, ContentLockedError)
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Job(Generic[A]):
    """One file under one name of a target; `submit` records its request and gives None when that is not possible now.

    `unusable` says what becomes of a file whose content can never be delivered as it is: damaged, gone, or locked.
    `total` is its bytes, where they are known.
    `lane` is the definition: of one definition one file is delivered at a time, so that they stay in order.
    """

    request_id: str
    fingerprint: str
    name: str
    place: str
    lane: tuple[str, str]
    open_content: OpenContent
    submit: Callable[[], A | None]
    unusable: Callable[[ContentError], A | None] | None = None
    total: int | None = None


def deliver(
    job: Job[A], records: Records, session: Callable[[], Session], report: Callable[[int], None] = lambda _: None
) -> A | Held | None:
    """Deliver unless that was done, then submit; the name stays ours until both are done.

    `report` is called with the bytes that were sent so far; what it raises ends the upload.
    """
    claim = records.claim(f"{job.place}/{job.name}", job.fingerprint, job.request_id)
    if isinstance(claim, Held):
        return claim
    try:
        if isinstance(claim, Mine):
            _put(job, claim, session(), report)
            claim.lease.note(state="delivered")
        claim.lease.require(SUBMIT_SECONDS)
        return job.submit()
    except UNUSABLE as error:
        if job.unusable is None:
            raise
        session().discard(temporary_name(job.fingerprint), job.name)
        return job.unusable(error)
    finally:
        claim.lease.end()


def _put(job: Job[Any], claim: Mine, session: Session, report: Callable[[int], None]) -> None:
    lease: Lease = claim.lease

    def tick(sent: int) -> None:
        lease.keep()
        report(sent)

    temporary = temporary_name(job.fingerprint)
    if claim.left_over:
        session.discard(temporary_name(claim.left_over), job.name)
    if claim.is_renaming and claim.size is not None and session.is_renamed(temporary, job.name, claim.size):
        return
    size = session.upload(temporary, job.name, job.open_content, tick)
    lease.note(state="renaming", size=size)
    lease.require(RENAME_SECONDS)
    session.rename(temporary, job.name, size)

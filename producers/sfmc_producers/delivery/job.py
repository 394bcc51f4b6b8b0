"""Delivers one file and submits its request: each step can be repeated after a crash at any other."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sfmc_import.ports import LedgerUnavailableError
from sfmc_producers.checked_files import OpenContent
from sfmc_producers.content_errors import ContentDamagedError, ContentError, ContentGoneError, ContentLockedError
from sfmc_producers.delivery.names import taken_as, temporary_name
from sfmc_producers.delivery.records import Held, Known, Lease, Mine, Records
from sfmc_producers.delivery.targets import Session

RENAME_SECONDS = 35.0
SUBMIT_SECONDS = 15.0
UNUSABLE = (ContentDamagedError, ContentGoneError, ContentLockedError)
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Job(Generic[A]):
    """One file under one name of a target; `submit` records its request and gives None when that is not possible now.

    `unusable` says what becomes of a file whose content can never be delivered as it is: damaged, gone, or locked.
    `known` gives the request that the file has already, for which nothing is delivered. `total` is its bytes, where
    they are known.
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
    known: Callable[[], A | None] = lambda: None


def deliver(
    job: Job[A], records: Records, session: Callable[[], Session], report: Callable[[int], None] = lambda _: None
) -> A | Held | None:
    """Deliver unless that was done, then submit; the name stays ours until both are done.

    `report` is called with the bytes that were sent so far; what it raises ends the upload.
    """
    claim = records.claim(f"{job.place}/{taken_as(job.name)}", job.fingerprint, job.request_id, job.known)
    if isinstance(claim, Held):
        return claim
    if isinstance(claim, Known):
        answer: A = claim.answer
        return answer
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
        # Without Redis the lease ends by itself; what happened before is what counts.
        with suppress(LedgerUnavailableError):
            claim.lease.end()


def _put(job: Job[Any], claim: Mine, session: Session, report: Callable[[int], None]) -> None:
    lease: Lease = claim.lease

    def tick(sent: int) -> None:
        lease.keep()
        report(sent)

    temporary = temporary_name(job.fingerprint)
    if claim.left_over:
        session.discard(temporary_name(claim.left_over), job.name)
    size = claim.size if claim.is_renaming else None
    if size is not None and session.is_renamed(temporary, job.name, size):
        return
    if size is None or not session.is_sent(temporary, size):
        size = _upload(job, claim, session, tick)
    lease.require(RENAME_SECONDS)
    session.rename(temporary, job.name, size)


def _upload(job: Job[Any], claim: Mine, session: Session, tick: Callable[[int], None]) -> int:
    temporary = temporary_name(job.fingerprint)
    if not claim.is_begun:
        session.prepare(temporary)
    elif claim.is_renaming:
        claim.lease.note(state="uploading", size="")
    size = session.upload(temporary, job.name, job.open_content, tick)
    # Without the size the next attempt does not ask whether it was renamed, where nothing could answer that.
    claim.lease.note(state="renaming", size=size if session.tells_apart(job.name, size) else "")
    return size

"""Routes of the API for producers: what starts nothing, what must not start, and what a watcher says of its folders."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path

from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.ledger.opening import durability_of
from sfmc_import.operations.views import View
from sfmc_import.request import FileInfo
from sfmc_producers.sources.dead_letters import SourceDeadLetters
from sfmc_server.callers import Access, Submits, Submitter, check_source, inner, request_id_of, source_of
from sfmc_server.given import ArrivalGiven, FileGiven, FoldersGiven, RecordGiven, RejectionGiven

router = APIRouter()


class RejectionView(View):
    """The request that was rejected, or the state in which it was already."""

    request_id: str
    state: str


class ArrivalView(View):
    """Whether this was not known before."""

    is_new: bool


@router.post("/rejections", tags=["producers"])
def reject(
    given: RejectionGiven,
    caller: Submits,
    client: Submitter,
    idempotency_key: Annotated[str, Header(max_length=300)],
) -> RejectionView:
    """Record a request that must not be started, such as one whose file has wrong columns, and end it as rejected."""
    fields: dict[str, Any] = {"source": given.source} | source_of(caller, given.source)
    request_id = request_id_of(caller, inner(idempotency_key))
    done = client.reject(
        customer_key=given.customer_key,
        request_id=request_id,
        code=given.code,
        text=given.text,
        mid=given.mid,
        file=None if given.file is None else _file(given.file),
        event_id=given.event_id,
        source=fields["source"],
    )
    return RejectionView(request_id=done.request_id, state=done.state)


@router.post("/arrivals", tags=["producers"])
def report(given: ArrivalGiven, _: Submits, client: Submitter) -> ArrivalView:
    """Publish once that a file starts nothing, because no definition or several definitions match."""
    detail: dict[str, Any] = {"text": given.text, "customer_keys": given.customer_keys}
    detail |= {} if given.reason is None else {"reason": given.reason}
    return ArrivalView(is_new=client.report(given.name, file=_file(given.file), detail=detail))


@router.post("/set-aside", status_code=204, tags=["producers"])
def set_aside(given: RecordGiven, caller: Submits, access: Access) -> None:
    """Keep a record that a source cannot read as a dead letter, once for each record_id.

    A token that was made with `--source` may do so for these sources alone.
    """
    check_source(caller, given.source)
    letters = SourceDeadLetters(access.broker, access.broker_keys, durability_of(access.settings))
    is_kept = letters.add(given.source, given.record_id, given.body_base64, given.text)
    if not is_kept or not letters.confirm(given.source, [given.record_id]):
        raise ServiceUnavailableError("Redis does not take it now")


@router.put("/watchers/{watcher}", status_code=204, tags=["producers"])
def note_folders(
    watcher: Annotated[str, Path(min_length=1, max_length=128)], given: FoldersGiven, caller: Submits, client: Submitter
) -> None:
    """Say for `status` what a watcher knows of its folders, null when it ends, and how wrong its clock is.

    Watchers of a token of the role `source` are its own: another token cannot speak for them.
    """
    name = f"{caller.name}/{watcher}" if caller.role == "source" else watcher
    folders = None if given.folders is None else [each.model_dump(exclude_none=True) for each in given.folders]
    client.note_folders(name, folders)
    client.note_clock(f"watcher {name}", None if folders is None else given.clock)


def _file(given: FileGiven) -> FileInfo:
    return FileInfo(**given.model_dump())

"""Gives a file the id of its request, and the request that is submitted for it."""

from dataclasses import replace
from uuid import UUID, uuid5

from sfmc_import.client import Submission
from sfmc_import.request import FileInfo
from sfmc_import.routing import Routed

# A name space of our own, so that no other program's uuid5 of the same text is equal.
FILES_NAMESPACE = UUID("5b2f7a2e-3c1d-5e0b-9a57-6f1f4c7d8e90")


def own_event(file_info: FileInfo, event_id: str | None) -> str | None:
    """Give the event id where it is the identity: a file with a fingerprint is seen in other ways, too."""
    return None if file_info.has_fingerprint else event_id


def request_id_of(file_info: FileInfo, target: Routed, event_id: str | None = None) -> str:
    """Give the id that every watcher gives this file_info, today and after a restart; the ledger then takes it once."""
    parts = (target.mid, target.customer_key, file_info.fingerprint, file_info.content_hash or "")
    own = () if event_id is None else (event_id,)
    return str(uuid5(FILES_NAMESPACE, "\n".join((*parts, *own))))


def submission(file_info: FileInfo, target: Routed, event_id: str | None, source: str) -> Submission:
    """Give the request of a file at a target."""
    own = own_event(file_info, event_id)
    return {
        "customer_key": target.customer_key,
        "mid": target.mid,
        "file": file_info,
        "source": source,
        "event_id": own,
        "priority": target.priority,
        "request_id": request_id_of(file_info, target, own),
    }


def submitted_as(file_info: FileInfo, target: Routed) -> FileInfo:
    """Give the file under its name at a target; fingerprint and request id stay those of its name at arrival."""
    if target.deliver is None or target.deliver.name == file_info.name:
        return file_info
    return replace(file_info, name=target.deliver.name, arrived_as=file_info.arrived_as or file_info.name)

"""Plain facts read from Marketing Cloud: definitions, accepted starts and the runs of ImportResultsSummary."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What we need to know of an ImportDefinition.

    `max_import_frequency` is in hours, None or 0 when the definition sets none;
    `update_type` is one of the six words of ImportDefinitionUpdateType, None when not set.
    """

    customer_key: str
    name: str | None = None
    object_id: str | None = None
    file_spec: str | None = None
    max_import_frequency: int | None = None
    update_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A start that Marketing Cloud accepted; `task_id` is the later TaskResultID, `soap_request_id` its RequestID."""

    task_id: str
    soap_request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One row of ImportResultsSummary; dates stay the opaque texts of the service (no zone is documented)."""

    task_id: str
    customer_key: str
    status: str
    successful: int | None = None
    duplicated: int | None = None
    errors: int | None = None
    total: int | None = None
    start_date: str | None = None
    end_date: str | None = None
    import_type: str | None = None
    destination_id: str | None = None

"""What is asked of Marketing Cloud: object types, their retrievable properties, filters; and rows made into facts."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from worker.domain.runs import Definition, Run

Row = Mapping[str, str]
"""The plain properties of one retrieved object by name; what is nil or empty is absent."""

DEFINITION = "ImportDefinition"
SUMMARY = "ImportResultsSummary"

# Asking for a property that cannot be retrieved makes the whole query fail, so these are the documented ones only
# (Marketing Cloud docs, "ImportDefinition" and "ImportResultsSummary").
PROPERTIES: Mapping[str, tuple[str, ...]] = {
    DEFINITION: ("ObjectID", "CustomerKey", "Name", "FileSpec", "UpdateType", "MaxImportFrequency"),
    SUMMARY: (
        "ImportDefinitionCustomerKey",
        "TaskResultID",
        "ImportStatus",
        "ImportType",
        "DestinationID",
        "StartDate",
        "EndDate",
        "NumberSuccessful",
        "NumberDuplicated",
        "NumberErrors",
        "TotalRows",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A Retrieve: all objects of a type, or those whose `filter_by` is one of `values`, or the next page of them."""

    object_type: str
    filter_by: str | None = None
    values: tuple[str, ...] = ()
    continues: str | None = None

    def next_page(self, request_id: str) -> "Query":
        """Give the query that fetches what the answer `request_id` left over."""
        return replace(self, filter_by=None, values=(), continues=request_id)


def definition_by_key(customer_key: str) -> Query:
    """Ask for one ImportDefinition."""
    return Query(object_type=DEFINITION, filter_by="CustomerKey", values=(customer_key,))


def all_definitions() -> Query:
    """Ask for every ImportDefinition of a business unit."""
    return Query(object_type=DEFINITION)


def runs_by_definition(customer_key: str) -> Query:
    """Ask for all runs of a definition."""
    return Query(object_type=SUMMARY, filter_by="ImportDefinitionCustomerKey", values=(customer_key,))


def runs_by_task(task_ids: Iterable[str]) -> Query:
    """Ask for runs by their task ids."""
    return Query(object_type=SUMMARY, filter_by="TaskResultID", values=tuple(task_ids))


def read_definition(row: Row) -> Definition:
    """Make a definition of a row; raise ValueError where a number is none, KeyError where the key is missing."""
    return Definition(
        customer_key=row["CustomerKey"],
        name=row.get("Name"),
        object_id=row.get("ObjectID"),
        file_spec=row.get("FileSpec"),
        max_import_frequency=_number(row, "MaxImportFrequency"),
        update_type=row.get("UpdateType"),
    )


def read_run(row: Row) -> Run | None:
    """Make a run of a row, None while it has no TaskResultID; raise ValueError where a number is none."""
    task_id = _number(row, "TaskResultID")
    if task_id is None:
        return None
    return Run(
        task_id=str(task_id),
        customer_key=row.get("ImportDefinitionCustomerKey", ""),
        status=row.get("ImportStatus", "Unknown"),
        successful=_number(row, "NumberSuccessful"),
        duplicated=_number(row, "NumberDuplicated"),
        errors=_number(row, "NumberErrors"),
        total=_number(row, "TotalRows"),
        start_date=row.get("StartDate"),
        end_date=row.get("EndDate"),
        import_type=row.get("ImportType"),
        destination_id=row.get("DestinationID"),
    )


def _number(row: Row, name: str) -> int | None:
    value = row.get(name)
    if value is None:
        return None
    try:
        return int(value)
    except ValueError:
        # Not quoted: nobody knows what stands there.
        raise ValueError(f"{name} is not a number") from None

"""What a terminal event says about a run."""

from typing import Any

from sfmc_import.runs import Run


def result_arguments(run: Run | None) -> dict[str, Any]:
    """Row counts and dates for a terminal event; what Marketing Cloud did not say is left out."""
    if run is None:
        return {}
    fields = {
        "import_status": run.status,
        "rows_successful": run.successful,
        "rows_duplicated": run.duplicated,
        "rows_failed": run.errors,
        "rows_total": run.total,
        "start_date": run.start_date,
        "end_date": run.end_date,
        "import_type": run.import_type,
        "destination_id": run.destination_id,
    }
    return {name: value for name, value in fields.items() if value is not None}

"""Writes runs as a Parquet file, a group of rows for each page."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, BinaryIO

import pyarrow as pa
from pyarrow import parquet

from sfmc_import.operations.runs import RunView


def _type_of(name: str) -> Any:
    if name == "ended_at":
        return pa.timestamp("ms", tz="UTC")
    return pa.int64() if name.startswith("rows_") or name == "size" else pa.string()


def write_parquet(pages: Iterable[list[RunView]], output: BinaryIO) -> None:
    """Write the runs; an empty list is a file without rows."""
    schema = pa.schema([(name, _type_of(name)) for name in RunView.model_fields])
    with parquet.ParquetWriter(output, schema) as writer:
        for page in pages:
            if page:
                rows = [{**run.model_dump(), "ended_at": datetime.fromisoformat(run.ended_at)} for run in page]
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))

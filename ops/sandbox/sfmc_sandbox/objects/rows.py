"""What imports leave behind, to be read: rows of data extensions, subscribers of lists, summaries of runs."""

from collections.abc import Iterable, Iterator
from typing import Any

from sfmc_sandbox.clock import Clock, us_date_time
from sfmc_sandbox.filters import values_wanted
from sfmc_sandbox.importing import RowStore
from sfmc_sandbox.objects.kind import Readable, Values
from sfmc_sandbox.runs import Run, Runs

_LOOKED_UP = {"TaskResultID", "ImportDefinitionCustomerKey"}
_MANY = 5000


class DataExtensionRows:
    """`DataExtensionObject[key]`: the rows of one data extension."""

    retrievable: tuple[str, ...] = ()

    def __init__(self, rows: RowStore) -> None:
        self._rows = rows

    def columns(self, mid: int, key: str) -> tuple[str, ...] | None:
        """The names of the fields; None when there is no such data extension."""
        found = self._rows.data_extension(str(mid), key)
        return None if found is None else tuple(field.name for field in found.fields)

    def rows(self, mid: int, key: str, values: Values | None) -> Iterator[Values]:
        """Every row, as field name to text."""
        del values
        for row in self._rows.rows(str(mid), key):
            yield {name: value for name, value in row.items() if value is not None}


class ListSubscribers:
    """The members of all lists."""

    retrievable = ("ObjectID", "PartnerKey", "ID", "SubscriberKey", "ListID", "Status", "Client.ID")

    def __init__(self, rows: RowStore, lists: Readable) -> None:
        self._rows = rows
        self._lists = lists

    def rows(self, mid: int, key: str, values: Values | None) -> Iterator[Values]:
        """Every membership, list by list."""
        del values
        for one in self._lists.rows(mid, key, None):
            for subscriber in self._rows.subscribers(str(mid), int(one["ID"])):
                yield {
                    "SubscriberKey": subscriber.subscriber_key,
                    "ListID": one["ID"],
                    "Status": subscriber.status,
                    "Client": {"ID": mid},
                }


class ImportResultsSummaries:
    """One row per visible run."""

    retrievable = (
        "ID", "Client.ID", "ObjectID", "DestinationID", "StartDate", "EndDate", "ImportDefinitionCustomerKey",
        "ImportStatus", "ImportType", "NumberDuplicated", "NumberErrors", "NumberSuccessful", "TaskResultID",
        "TotalRows",
    )  # fmt: skip

    def __init__(self, runs: Runs, clock: Clock) -> None:
        self._runs = runs
        self._clock = clock

    def rows(self, mid: int, key: str, values: Values | None) -> Iterable[Values]:
        """Every run that can be seen, oldest first; only those a filter by key or number can want."""
        del key
        names = values_wanted(values, _LOOKED_UP) if values else None
        usable = names is not None and len(names) < _MANY
        found = self._runs.visible_among(mid, list(names or ())) if usable else self._runs.visible(mid)
        now = self._clock.timestamp()
        return (_summary(run, now) for run in found)


def _summary(run: Run, now: float) -> Values:
    shown: dict[str, Any] = {
        "ID": 0,
        "Client": {"ID": run.mid},
        "ImportDefinitionCustomerKey": run.customer_key,
        "StartDate": us_date_time(run.started),
        "ImportStatus": run.status_at(now),
        "TaskResultID": run.task_id,
        **dict.fromkeys(("NumberSuccessful", "NumberDuplicated", "NumberErrors", "TotalRows"), 0),
    }
    if run.is_over(now) and run.outcome is not None:
        shown["EndDate"] = us_date_time(max(run.shown, run.ended or run.started))
        shown |= run.outcome | run.faults.get("counts", {})
    return shown

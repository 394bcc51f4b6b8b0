"""A business unit to import into: puts files, runs definitions and looks at the rows."""

import os
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from sfmc_sandbox.importing import Account, Field, RowStore, run_import

MID = "510001"
NOW = datetime(2024, 5, 9, 15, 30, tzinfo=UTC)
PEOPLE = (
    Field("Email", "EmailAddress", is_primary_key=True),
    Field("Name", "Text", max_length=20),
    Field("Age", "Number"),
)
INTO_PEOPLE = {"xsi:type": "DataExtension", "CustomerKey": "people"}
TIDY = ("a@example.com,Ann,30", "b@example.com,Bob,40")


class World:
    def __init__(self, folder: Path) -> None:
        self.account = Account(MID, "America/Chicago", 99, "utf-8")
        self.files = folder / "files"
        self.imports = self.files / "ExactTarget Enhanced FTP" / "Import"
        self.imports.mkdir(parents=True)
        self.store = RowStore(folder / "rows.db")
        self.seen: list[str] = []
        self._task_ids = count(1)
        self.task_id = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.store.close()

    def put(self, name="people.csv", *lines, head="Email,Name,Age", encoding="utf-8", modified=None):
        return self.put_bytes(name, "".join(f"{line}\n" for line in (head, *lines)).encode(encoding), modified)

    def put_bytes(self, name, content, modified=None):
        path = self.imports / name
        path.write_bytes(content)
        moment = (modified or NOW).timestamp()
        os.utime(path, (moment, moment))
        return path

    def people(self, *fields, key="people"):
        return self.store.create_data_extension(MID, key, f"id-of-{key}", key.title(), fields or PEOPLE)

    def run(self, now=NOW, **properties):
        task_id = self.task_id = next(self._task_ids)
        definition = {"CustomerKey": "daily", "FileSpec": "people.csv", "DestinationObject": INTO_PEOPLE} | properties
        definition = {name: value for name, value in definition.items() if value is not None}
        return run_import(definition, self.account, self.store, self.files, task_id, now, self.seen.append)

    def into_people(self, *lines, head="Email,Name,Age", **properties):
        """Put a file with these rows and import it, going on after errors unless a property says otherwise."""
        self.put("people.csv", *lines, head=head)
        return self.run(**{"AllowErrors": True, **properties})

    def rows(self, key="people"):
        return [tuple(row.values()) for row in self.store.rows(MID, key)]

    def reasons(self):
        return [bad.reason for bad in self.store.bad_rows(self.task_id)]


def counts(outcome):
    return outcome.successful, outcome.duplicated, outcome.restricted, outcome.errors

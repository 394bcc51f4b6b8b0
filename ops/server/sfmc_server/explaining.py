"""Explains for the API what a file or an event would start, as the command `explain` does."""

import threading
from contextlib import ExitStack

import orjson

from sfmc_import.errors import SettingsError
from sfmc_import.operations.errors import InvalidError
from sfmc_import.operations.views import ExplainedView
from sfmc_import.redaction import hidden_in
from sfmc_import.request import FileInfo, is_mid
from sfmc_import.settings import Settings
from sfmc_producers.sources.arrivals import Arrival, Record
from sfmc_producers.sources.commands import Opened, Opening
from sfmc_producers.sources.kinds import KINDS
from sfmc_producers.sources.questions import event_records, explained, explaining_of
from sfmc_producers.sources.tables import chosen, read_options
from sfmc_server.given import ExplainGiven


class Explainer:
    """Opens sources on first use, and keeps them; safe for threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.model_copy(update={"api_url": ""})
        self._lock = threading.Lock()
        self._opening: Opening | None = None
        self._opened: dict[str, Opened] = {}
        self._stack = ExitStack()

    def close(self) -> None:
        """Close what was opened."""
        self._stack.close()

    def explain(self, given: ExplainGiven) -> list[ExplainedView]:
        """Explain a file, or each file of an event; raises InvalidError."""
        if given.mid is not None and not is_mid(given.mid):
            raise InvalidError(f"{given.mid} is no business unit")
        with self._lock:
            opening, opened = self._open(given.source)
        records = self._records(given, opened)
        explaining = explaining_of(opening, opened, given.mid)
        return [ExplainedView.model_validate(hidden_in(explained(explaining, opened, record))) for record in records]

    def _open(self, name: str | None) -> tuple[Opening, Opened | None]:
        try:
            self._opening = self._opening or self._begin()
            if name is not None and name not in self._opened:
                [table] = chosen(self._settings, [name])
                [(kind, options)] = read_options([table], KINDS)
                self._opened[name] = self._opening.open(table, kind, options)
        except SettingsError as error:
            raise InvalidError("; ".join(error.problems)) from error
        return self._opening, None if name is None else self._opened[name]

    def _begin(self) -> Opening:
        with ExitStack() as stack:
            # The server has no secrets of targets; nothing is delivered here.
            opening = Opening(self._settings, stack, only_asks=True)
            self._stack.push(stack.pop_all())
        return opening

    @staticmethod
    def _records(given: ExplainGiven, opened: Opened | None) -> list[Record]:
        if (given.file is None) == (given.event is None):
            raise InvalidError("give either a file or an event")
        if given.file is not None:
            return [Arrival(file=FileInfo(**given.file.model_dump()))]
        found = event_records(orjson.dumps(given.event), opened)
        if found is None:
            raise InvalidError("the event names no file: give the arguments of imports.start, or its source")
        return list(found)

"""The runner of the source `sftp`: lists, waits until files are stable, submits them, then lets go of them."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from typing import BinaryIO

import asyncssh
import orjson
import structlog

from sfmc_import.display import one_line
from sfmc_import.request import FileInfo
from sfmc_import.retrying import Backoff
from sfmc_import.routing import Routed
from sfmc_producers.delivery.ranged import RangedContent, as_file
from sfmc_producers.hidden_names import is_hidden, read_hidden
from sfmc_producers.notifications import Wakeup
from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.sources.intake import Intake, SetAside, Taken
from sfmc_producers.sources.receiving import SourceUnavailableError
from sfmc_producers.sources.sftp.connection import said
from sfmc_producers.sources.sftp.content import SftpRanges
from sfmc_producers.sources.sftp.entries import Handled, Skipped
from sfmc_producers.sources.sftp.letting_go import LettingGo, Outcome
from sfmc_producers.sources.sftp.listing import FolderMissingError, Walk
from sfmc_producers.sources.sftp.options import SftpOptions
from sfmc_producers.sources.sftp.server import SftpServer
from sfmc_producers.sources.standing import LET_GO, State
from sfmc_producers.stability import FileStat, Reason, StabilityRule, TrackedFile, WaitingFile, evaluate
from sfmc_producers.submitter import InvalidRequest

PAUSES = Backoff(floor=1.0, cap=300.0)
"""Seconds between two tries to reach a server that does not answer."""

FULL = (asyncssh.SFTPNoSpaceOnFilesystem, asyncssh.SFTPQuotaExceeded)
"""What a server says that has no room; most have no such word, and say only that it failed."""

MIN_PAUSE_SECONDS = 0.05
UNNAMABLE = "its name is no text in UTF-8, or a path"

MAX_BODY_BYTES = 4096
"""Bytes of a name that are kept in a dead letter."""


class SftpSource:
    """Watches one folder of a server; `stable_seconds` is how long a file must be unchanged.

    Files that need nothing more are remembered by a digest each, and again after a restart by the ledger.
    """

    def __init__(
        self,
        options: SftpOptions,
        intake: Intake,
        set_aside: SetAside,
        server: SftpServer,
        *,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float],
        key: bytes,
    ) -> None:
        self.name, self.stable_seconds = intake.source, options.stable
        intake.standing.place = options.location
        self._options, self._rule = options, options.rule
        self._intake, self._set_aside, self._server = intake, set_aside, server
        self._clock, self._chance = clock, chance
        self._seen: dict[str, TrackedFile] = {}
        self._accepted, self._refused = Handled(key), Handled(key)
        self._unmatched, self._said = Handled(key), Handled(key)
        self._taken: list[tuple[FileStat, str | None]] = []
        self._unmoved: dict[str, FileStat] = {}
        self._hidden: dict[str, FileStat] = {}
        self._letting_go = LettingGo(server, options)
        self._keeps = options.after == "keep"
        self._lock, self._users = threading.Lock(), 0
        self._attempt = ""
        self._is_missing = False
        self._log = structlog.get_logger("sfmc_producers.sources").bind(source=self.name)

    def run(self, wakeup: Wakeup) -> None:
        """List, submit and let go until `wakeup` closes; raises SourceRefusedError."""
        failures = 0
        with self._using():
            while not wakeup.is_closing:
                failures = self._step(wakeup, failures)

    def _step(self, wakeup: Wakeup, failures: int) -> int:
        """List once and rest; `failures` counts how often in a row the server did not answer."""
        try:
            pause = self.scan(wakeup)
        except SourceUnavailableError as error:
            pause = PAUSES.pause(failures + 1, self._chance())
            self._intake.standing.failed(str(error), again_in=pause)
            if not failures:
                self._log.error("source_unavailable", reason=str(error), action="waiting")
            self._server.disconnect()
            wakeup.wait(pause)
            return failures + 1
        if failures:
            self._log.info("source_available", failures=failures)
        self._rest(wakeup, pause)
        return 0

    @property
    def rule(self) -> StabilityRule:
        """When its files are complete."""
        return self._rule

    def listed_once(self) -> Iterator[Arrival]:
        """Give what one listing shows: the files of this source that are not empty and have their marker.

        Whether a file still grows one look cannot tell, so this is no scan.
        Raises SourceUnavailableError and SourceRefusedError.
        """
        once = evaluate({}, self._files_now(), self._clock(), replace(self._rule, scans=1, seconds=0.0))
        return map(self._arrival, once.stable)

    def list_arrivals(self) -> Iterator[Arrival]:
        """Yield the files that are the same in two looks, `stable_seconds` apart."""
        return self.list_stable(time.sleep)

    def list_stable(self, wait: Callable[[float], object]) -> Iterator[Arrival]:
        """Do so, and `wait` between the looks; also while the source runs, with its connections.

        It keeps a line for each file that counts. Raises SourceUnavailableError and SourceRefusedError.
        """
        with self._using():
            looked = evaluate({}, self._files_now(), self._clock(), self._rule)
            if wait(self.stable_seconds):
                return
            looked = evaluate(looked.seen, self._files_now(), self._clock(), self._rule)
            yield from map(self._arrival, sorted(looked.stable, key=lambda file: (file.modified_ns, file.name)))

    def _files_now(self) -> list[FileStat]:
        try:
            return [each for each in self._walk().entries() if isinstance(each, FileStat) and self._is_wanted(each)]
        except FolderMissingError as error:
            raise SourceUnavailableError(f"{self._options.location} cannot be listed: {error}") from error

    @contextmanager
    def _using(self) -> Iterator[None]:
        """Let the connections be open meanwhile; who is the last closes them."""
        self._begin_use()
        try:
            yield
        finally:
            self._end_use()

    def _begin_use(self) -> None:
        with self._lock:
            self._users += 1

    def _end_use(self) -> None:
        with self._lock:
            self._users -= 1
        self.close()

    def open_content(self, file: FileInfo) -> BinaryIO:
        """Open a file of this source; it raises ContentChangedError or ContentUnavailableError when it is read.

        While it is open, the connections stay so: a scan that has listed all may still deliver.
        """
        self._begin_use()
        return as_file(RangedContent(SftpRanges(self._server, self._options, file, self._end_use)))

    def close(self) -> None:
        """Close the connections, unless somebody runs or lists the source now: then that closes them in the end."""
        with self._lock:
            if not self._users:
                self._server.close()

    def _rest(self, wakeup: Wakeup, pause: float) -> None:
        if pause > self._options.idle_close:
            self._server.disconnect()
        wakeup.wait(max(MIN_PAUSE_SECONDS, pause))

    def scan(self, wakeup: Wakeup) -> float:
        """List once and bring on what is stable; gives the seconds until the next listing."""
        self._take_back()
        self._taken = []
        files = self._look()
        if files is None:
            every = self._options.every
            self._intake.standing.failed(f"{self._options.location} cannot be listed", again_in=every)
            return every
        taken = evaluate(self._seen, files, self._clock(), self._rule)
        self._seen = dict(taken.seen)
        for each in taken.waiting:
            if each.reason == "empty":
                self._say_once("file_empty_skipped", each.name, each.size)
        # The oldest first, so that follow-ups of one definition come in the order of arrival.
        for file in sorted(taken.stable, key=lambda file: (file.modified_ns, file.name)):
            if wakeup.is_closing or self._intake.submitter.is_ledger_waiting:
                break
            self._bring(file)
        self._accept_all()
        self._intake.standing.looked(files=[*taken.waiting, *self._untaken(taken.stable)])
        self._let_go_of_all(wakeup)
        for memory in self._memories():
            memory.end()
        waits = (self._options.every, taken.next_in, self._intake.submitter.next_in)
        return min(each for each in waits if each is not None)

    def _untaken(self, stable: Iterable[FileStat]) -> Iterator[WaitingFile]:
        """Yield the files that are complete and not accepted yet."""
        is_away = self._intake.submitter.next_in is not None
        for file in stable:
            tracked = self._seen.get(file.name)
            if tracked is not None:
                reason: Reason = "unavailable" if is_away else "delivering"
                waits = WaitingFile(name=file.name, reason=reason, since=tracked.waiting_since, size=file.size)
                yield self._intake.unavailable(waits) if is_away else waits

    def _look(self) -> list[FileStat] | None:
        """List what is not handled yet; None while the folder cannot be listed."""
        for memory in self._memories():
            memory.begin()
        walk = self._walk()
        try:
            files = [each for each in map(self._sort_out, walk.entries()) if each is not None]
        except FolderMissingError as error:
            if not self._is_missing:
                self._log.error("folder_unreadable", folder=self._options.location, reason=str(error), action="waiting")
            # What happened meanwhile is unknown, so every file must become stable again.
            self._is_missing, self._seen = True, {}
            return None
        for name, reason in walk.unreadable.items():
            self._say_once("entry_unreadable", name, reason, reason=reason)
        if self._is_missing:
            self._log.info("folder_readable_again", folder=self._options.location)
        self._is_missing = False
        return files

    def _sort_out(self, entry: FileStat | Skipped) -> FileStat | None:
        """Give an entry that must be looked at: a file that counts and is not handled yet."""
        if isinstance(entry, Skipped):
            self._skip(entry)
            return None
        if is_hidden(entry.name):
            self._note_hidden(entry)
            return None
        state = _state(entry)
        if not self._is_wanted(entry) or self._refused.has(*state):
            return None
        if self._accepted.has(*state):
            self._note_accepted(entry)
            return None
        if self._unmatched.has(*state) and not isinstance(self._intake.route(self._arrival(entry)), Routed):
            return None
        return entry

    def _bring(self, file: FileStat) -> None:
        """Bring a finished file as far as possible; what is not done now comes again with the next listing."""
        arrival, since = self._arrival(file), self._intake.submitter.moment
        routing = self._intake.route(arrival)
        if isinstance(routing, Routed):
            self._submit(file, arrival, routing)
        elif routing is None or self._unmatched.has(*_state(file)):
            return
        elif self._intake.report(arrival, routing, since):
            self._unmatched.add(*_state(file))
            del self._seen[file.name]

    def _submit(self, file: FileStat, arrival: Arrival, target: Routed) -> None:
        taken = self._intake.submit_to(arrival, target)
        if isinstance(taken, Taken):
            self._taken.append((file, taken.request_id))
        elif isinstance(taken, InvalidRequest):
            about = {"location": arrival.file.location, "name": arrival.file.name, "size": file.size}
            if self._keep(_state(file), orjson.dumps(about), "; ".join(taken.problems)):
                self._refused.add(*_state(file))
                self._handled(file)

    def _accept_all(self) -> None:
        """Note the files whose requests are confirmed; the others are brought again."""
        taken, self._taken = self._taken, []
        if taken and self._intake.confirm([request_id for _, request_id in taken]):
            for file, _ in taken:
                self._accepted.add(*_state(file))
                self._note_accepted(file)
                self._handled(file)

    def _handled(self, file: FileStat) -> None:
        self._unmatched.discard(*_state(file))
        del self._seen[file.name]

    def _note_hidden(self, file: FileStat) -> None:
        if not self._keeps:
            self._hidden[file.name] = file

    def _note_accepted(self, file: FileStat) -> None:
        if not self._keeps:
            self._unmoved.setdefault(file.name, file)

    def _let_go_of_all(self, wakeup: Wakeup) -> None:
        """Let go of accepted files, for a while; after the first that the server refuses, the next round goes on."""
        until = self._clock() + self._options.every
        hidden, self._hidden = self._hidden, {}
        steps = [(file, True) for file in hidden.values()] + [(file, False) for file in self._unmoved.values()]
        for file, is_begun in steps:
            if self._keeps or wakeup.is_closing or self._clock() > until or not self._let_go(file, is_begun=is_begun):
                return
        self._intake.standing.well(LET_GO)

    def _let_go(self, file: FileStat, *, is_begun: bool) -> bool:
        """Let go of one file, or go on with one that is hidden; False when the server refuses."""
        try:
            outcome = self._finish(file) if is_begun else self._letting_go.let_go(file, self._arrival(file).file)
        except asyncssh.SFTPError as error:
            reason = said(error)
            self._say_stuck(error)
            if not is_begun:
                # It becomes the last one, so that it holds up no other.
                self._unmoved[file.name] = self._unmoved.pop(file.name)
            self._say_once("file_not_let_go", file.name, reason, of="", after=self._options.after, reason=reason)
            return False
        self._unmoved.pop(file.name, None)
        self._say_outcome(file, outcome)
        return True

    def _say_stuck(self, error: asyncssh.SFTPError) -> None:
        is_full = isinstance(error, FULL)
        text = f"{said(error)}, move_to {self._options.move_to}" if self._options.move_to else said(error)
        state: State = "full" if is_full else "unmoved"
        self._intake.standing.failed(text, LET_GO, again_in=self._options.every, state=state)

    def _finish(self, file: FileStat) -> Outcome:
        found = read_hidden(file.name)
        assert found is not None
        within = file.name.rpartition("/")[0]
        before = replace(file, name=f"{within}/{found.name}" if within else found.name)
        return self._letting_go.finish(file.name, self._arrival(before).file)

    def _say_outcome(self, file: FileStat, outcome: Outcome) -> None:
        if outcome in {"done", "put_back"}:
            self._log.info("file_let_go", file=one_line(file.name), after=self._options.after, outcome=outcome)
        elif outcome == "left":
            reason = "it was replaced while it was let go of, and its name is taken"
            self._say_once("file_not_let_go", file.name, reason, after=self._options.after, reason=reason)
        elif outcome == "redated":
            self._keeps = True
            reason = "the server gives a renamed file a new time stamp, so all files stay; use keep"
            self._say_once("file_not_let_go", file.name, reason, after=self._options.after, reason=reason)

    def _skip(self, entry: Skipped) -> None:
        name = entry.name.decode("utf-8", "surrogateescape")
        last = name.rpartition("/")[2]
        if entry.reason == "gone" or not self._rule.is_candidate(last) or not fnmatchcase(last, self._options.pattern):
            return
        if entry.reason != "unnamable":
            self._say_once("entry_skipped", name, entry.reason, reason=entry.reason)
        elif not self._said.has(name, "unnamable") and self._keep((entry.name,), entry.name, UNNAMABLE):
            self._said.add(name, "unnamable")
            self._log.warning("file_name_undecodable", file=one_line(entry.name.decode("utf-8", "backslashreplace")))

    def _keep(self, state: Sequence[object], body: bytes, text: str) -> bool:
        """Set a file aside as a dead letter; False when Redis does not take it now."""
        record = Handled(b"").digest(self._options.location, *state).hex() + self._attempt
        kept = self._set_aside.add(self.name, record, body[:MAX_BODY_BYTES], text)
        if kept:
            self._log.warning("record_set_aside", message_id=record, reason=text)
        return kept

    def _take_back(self) -> None:
        """Look anew at everything that was set aside, when an operator sends some of it back."""
        for letter in self._set_aside.replayed(self.name):
            self._attempt = f":{letter.id}"
            for memory in self._memories():
                memory.clear()
            self._set_aside.done(self.name, letter)

    def _say_once(self, event: str, name: str, state: object, *, of: str | None = None, **fields: object) -> None:
        """Say something about a file once; `of` stands for all files that one line is enough for."""
        known = (name if of is None else of, event, state)
        if not self._said.has(*known):
            self._said.add(*known)
            self._log.warning(event, file=one_line(name), **fields)

    def _memories(self) -> tuple[Handled, ...]:
        return self._accepted, self._refused, self._unmatched, self._said

    def _walk(self) -> Walk:
        options = self._options
        return Walk(
            server=self._server,
            root=options.dir,
            rule=self._rule,
            recursive=options.recursive,
            skip=options.move_to,
            seconds=options.listing_timeout,
            most=options.max_files,
            clock=self._clock,
        )

    def _is_wanted(self, file: FileStat) -> bool:
        last = file.name.rpartition("/")[2]
        if is_hidden(last):
            return False
        is_marker = self._rule.marker is not None and last.endswith(self._rule.marker)
        return is_marker or (fnmatchcase(last, self._options.pattern) and self._rule.is_candidate(file.name))

    def _arrival(self, file: FileStat) -> Arrival:
        within, _, name = file.name.rpartition("/")
        location = f"{self._options.location}/{within}" if within else self._options.location
        info = FileInfo(location=location, name=name, size=file.size, modified_ns=file.modified_ns)
        return Arrival(file=info, open_content=partial(self.open_content, info))


def _state(file: FileStat) -> tuple[object, ...]:
    return file.name, file.size, file.modified_ns

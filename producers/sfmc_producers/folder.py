"""One watched folder: look, settle, route, submit; the folder is the truth, what is kept here is only a cache."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import structlog

from sfmc_import.client import SubmitResult
from sfmc_import.request import FileInfo
from sfmc_import.routing import Routed, Routing
from sfmc_producers.stability import FileStat, ScanResult, StabilityRule, TrackedFile, evaluate
from sfmc_producers.submitter import InvalidRequest, Submitter


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What one listing found.

    `unnamable` are files whose names are no text in this system's encoding (as ASCII with escapes), `unreadable` the
    subfolders that could not be listed, with the system's reason.
    """

    files: list[FileStat] = field(default_factory=list)
    unnamable: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)


def list_folder(folder: Path, *, recursive: bool = False) -> Listing:
    """List the regular files of a folder, with `recursive` those of its subfolders too.

    A link to a file counts as that file (its size and time stamp, the link's name); a link to a folder is not
    entered; a file that goes while the folder is listed is left out.
    Raises OSError when the folder itself cannot be listed.
    """
    listing = Listing()
    _list_into(listing, folder, "", recursive=recursive)
    return listing


def _list_into(listing: Listing, folder: Path, within: str, *, recursive: bool) -> None:
    subfolders = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file():
                _add(listing, entry, within)
            elif recursive and entry.is_dir(follow_symlinks=False):
                subfolders.append(entry.name)
    for name in subfolders:
        try:
            _list_into(listing, folder / name, f"{within}{name}/", recursive=True)
        except OSError as error:
            listing.unreadable[within + name] = error.strerror or type(error).__name__


def _add(listing: Listing, entry: os.DirEntry[str], within: str) -> None:
    name = within + entry.name
    if not _is_text(name):
        listing.unnamable.append(ascii(name))
        return
    for status in _status(entry):
        listing.files.append(FileStat(name, status.st_size, status.st_mtime_ns))


def _status(entry: os.DirEntry[str]) -> Iterator[os.stat_result]:
    try:
        yield entry.stat()
    except FileNotFoundError:
        return


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """What to watch and how.

    `location` is what stands for the folder in the identity of its files: by default its absolute path, a name of
    one's own where the same folder is mounted at different places. With `key` every file starts that definition and
    nothing is routed; only names that `pattern` matches (a glob, upper and lower case differ) are looked at.
    """

    path: Path
    location: str
    mid: str | None = None
    key: str | None = None
    pattern: str = "*"
    recursive: bool = False
    rule: StabilityRule = field(default_factory=StabilityRule)


class FolderScanner:
    """Takes looks at one folder; a file is done only when the ledger has it, so whatever fails is tried again."""

    def __init__(self, folder: Folder, announcer: Submitter, clock: Callable[[], float]) -> None:
        self._folder, self._announcer, self._clock = folder, announcer, clock
        self._log = structlog.get_logger("sfmc_producers.folder").bind(folder=str(folder.path))
        self._seen: dict[str, TrackedFile] = {}
        self._done: dict[str, FileStat] = {}
        self._told: dict[str, object] = {}
        self._odd: set[str] = set()
        self._is_unreadable = False

    def scan(self) -> float | None:
        """Take one look and announce what has settled; returns the seconds until a further look can settle a file."""
        listing = self._list()
        if listing is None:
            return None
        self._tell_oddities(listing)
        files = [each for each in listing.files if self._is_wanted(each.name)]
        taken = evaluate(self._seen, files, self._clock(), self._folder.rule)
        self._seen = dict(taken.seen)
        self._forget(taken)
        for each in taken.empty:
            self._tell(each.name, ("empty", each), "file_empty_skipped")
        # The oldest first, so that follow-ups of one definition come in the order of arrival.
        for each in sorted(taken.settled, key=lambda file: (file.modified_ns, file.name)):
            if self._done.get(each.name) != each:
                self._on_stable_file(each)
        return taken.next_in

    def _list(self) -> Listing | None:
        try:
            listing = list_folder(self._folder.path, recursive=self._folder.recursive)
        except OSError as error:
            if not self._is_unreadable:
                self._log.error("folder_unreadable", reason=error.strerror, action="trying again until it is readable")
            # What happened meanwhile is unknown, so every file settles anew.
            self._is_unreadable, self._seen = True, {}
            return None
        if self._is_unreadable:
            self._log.info("folder_readable_again")
        self._is_unreadable = False
        return listing

    def _is_wanted(self, name: str) -> bool:
        suffix = self._folder.rule.done_suffix
        last = name.rpartition("/")[2]
        is_marker = suffix is not None and last.endswith(suffix)
        return is_marker or fnmatchcase(last, self._folder.pattern)

    def _on_stable_file(self, sighting: FileStat) -> None:
        """Bring one finished file as far as possible; what is not done now comes again with the next look."""
        arrival = self._arrival(sighting)
        routing = self._route(arrival)
        if routing is None or not self._is_unchanged(sighting):
            return
        if isinstance(routing, Routed):
            self._submit(sighting, arrival, routing)
        elif self._told.get(sighting.name) != (sighting, routing) and self._announcer.report(arrival, routing):
            text, keys = routing.text, list(routing.customer_keys)
            self._tell(sighting.name, (sighting, routing), "arrival_not_routed", reason=text, customer_keys=keys)

    def _route(self, arrival: FileInfo) -> Routing | None:
        if self._folder.key is None:
            return self._announcer.route(arrival, self._folder.mid)
        mid = self._folder.mid or self._announcer.default_mid
        return Routed(customer_key=self._folder.key, mid=mid, by="route")

    def _submit(self, sighting: FileStat, arrival: FileInfo, target: Routed) -> None:
        answer = self._announcer.submit(arrival, target, f"folder:{self._folder.location}")
        if answer is None:
            return
        log = self._log.bind(file=sighting.name, customer_key=target.customer_key, mid=target.mid)
        if isinstance(answer, InvalidRequest):
            log.error("file_rejected", problems=list(answer.problems))
        elif isinstance(answer, SubmitResult):
            event = "arrival_announced" if answer.is_new else "arrival_known"
            log.info(event, request_id=answer.request_id, size=sighting.size)
        self._done[sighting.name] = sighting

    def _is_unchanged(self, sighting: FileStat) -> bool:
        """Look once more just before submitting: routing may have taken long."""
        try:
            status = os.stat(self._folder.path / sighting.name)  # noqa: PTH116 - the plain call, as in scandir
        except OSError as error:
            self._tell(sighting.name, ("gone", sighting), "file_gone_before_announced", reason=error.strerror)
            return False
        return (status.st_size, status.st_mtime_ns) == (sighting.size, sighting.modified_ns)

    def _arrival(self, sighting: FileStat) -> FileInfo:
        within, _, name = sighting.name.rpartition("/")
        location = f"{self._folder.location}/{within}" if within else self._folder.location
        return FileInfo(location=location, name=name, size=sighting.size, modified_ns=sighting.modified_ns)

    def _forget(self, taken: ScanResult) -> None:
        for name in taken.gone:
            self._log.info("file_gone", file=name, was_announced=name in self._done)
        for memory in (self._done, self._told):
            for name in memory.keys() - taken.seen.keys():
                del memory[name]

    def _tell_oddities(self, listing: Listing) -> None:
        for name in listing.unnamable:
            if name not in self._odd:
                self._log.warning("file_name_undecodable", file=name)
        for name, reason in listing.unreadable.items():
            if name not in self._odd:
                self._log.warning("subfolder_unreadable", subfolder=name, reason=reason)
        self._odd = {*listing.unnamable, *listing.unreadable}

    def _tell(self, name: str, state: object, event: str, **fields: object) -> None:
        """Say something about a file once, and again only when its state has changed."""
        if self._told.get(name) != state:
            self._log.warning(event, file=name, **fields)
        self._told[name] = state


def check_readable(paths: Iterable[Path]) -> list[str]:
    """Give one sentence for each folder that cannot be watched now."""
    problems = []
    for path in paths:
        try:
            list_folder(path)
        except OSError as error:
            problems.append(f"folder {path} cannot be read: {error.strerror}")
    return problems

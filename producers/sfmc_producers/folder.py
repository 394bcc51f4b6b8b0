"""Scans one folder, waits until files are stable, routes and submits them; what it remembers is only a cache."""

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
    """Scans one folder. A file is done only when the ledger has it, so whatever fails is tried again."""

    def __init__(self, folder: Folder, submitter: Submitter, clock: Callable[[], float]) -> None:
        self._folder, self._submitter, self._clock = folder, submitter, clock
        self._log = structlog.get_logger("sfmc_producers.folder").bind(folder=str(folder.path))
        self._seen: dict[str, TrackedFile] = {}
        self._done: dict[str, FileStat] = {}
        self._logged: dict[str, object] = {}
        self._odd: set[str] = set()
        self._is_unreadable = False

    def scan(self) -> float | None:
        """Scan once and submit stable files; returns the seconds until a further scan can find a stable file."""
        listing = self._list()
        if listing is None:
            return None
        self._log_unusual_files(listing)
        files = [each for each in listing.files if self._is_wanted(each.name)]
        taken = evaluate(self._seen, files, self._clock(), self._folder.rule)
        self._seen = dict(taken.seen)
        self._forget(taken)
        for each in taken.empty:
            self._log_once(each.name, ("empty", each), "file_empty_skipped")
        # The oldest first, so that follow-ups of one definition come in the order of arrival.
        for each in sorted(taken.stable, key=lambda file: (file.modified_ns, file.name)):
            if self._done.get(each.name) != each:
                self._on_stable_file(each)
        return taken.next_in

    def _list(self) -> Listing | None:
        try:
            listing = list_folder(self._folder.path, recursive=self._folder.recursive)
        except OSError as error:
            if not self._is_unreadable:
                self._log.error("folder_unreadable", reason=error.strerror, action="trying again until it is readable")
            # What happened meanwhile is unknown, so every file must become stable again.
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

    def _on_stable_file(self, file_stat: FileStat) -> None:
        """Bring one finished file as far as possible; what is not done now comes again with the next scan."""
        file_info = self._arrival(file_stat)
        routing = self._route(file_info)
        if routing is None or not self._is_unchanged(file_stat):
            return
        if isinstance(routing, Routed):
            self._submit(file_stat, file_info, routing)
        elif self._logged.get(file_stat.name) != (file_stat, routing) and self._submitter.report(file_info, routing):
            text, keys = routing.text, list(routing.customer_keys)
            self._log_once(file_stat.name, (file_stat, routing), "file_not_routed", reason=text, customer_keys=keys)

    def _route(self, file_info: FileInfo) -> Routing | None:
        if self._folder.key is None:
            return self._submitter.route(file_info, self._folder.mid)
        mid = self._folder.mid or self._submitter.default_mid
        return Routed(customer_key=self._folder.key, mid=mid, by="route")

    def _submit(self, file_stat: FileStat, file_info: FileInfo, target: Routed) -> None:
        answer = self._submitter.submit(file_info, target, f"folder:{self._folder.location}")
        if answer is None:
            return
        log = self._log.bind(file=file_stat.name, customer_key=target.customer_key, mid=target.mid)
        if isinstance(answer, InvalidRequest):
            log.error("file_rejected", problems=list(answer.problems))
        elif isinstance(answer, SubmitResult):
            event = "file_submitted" if answer.is_new else "file_known"
            log.info(event, request_id=answer.request_id, size=file_stat.size)
        self._done[file_stat.name] = file_stat

    def _is_unchanged(self, file_stat: FileStat) -> bool:
        """Look once more just before submitting: routing may have taken long."""
        try:
            status = os.stat(self._folder.path / file_stat.name)  # noqa: PTH116 - the plain call, as in scandir
        except OSError as error:
            self._log_once(file_stat.name, ("gone", file_stat), "file_gone_before_submit", reason=error.strerror)
            return False
        return (status.st_size, status.st_mtime_ns) == (file_stat.size, file_stat.modified_ns)

    def _arrival(self, file_stat: FileStat) -> FileInfo:
        within, _, name = file_stat.name.rpartition("/")
        location = f"{self._folder.location}/{within}" if within else self._folder.location
        return FileInfo(location=location, name=name, size=file_stat.size, modified_ns=file_stat.modified_ns)

    def _forget(self, taken: ScanResult) -> None:
        for name in taken.gone:
            self._log.info("file_gone", file=name, was_submitted=name in self._done)
        for memory in (self._done, self._logged):
            for name in memory.keys() - taken.seen.keys():
                del memory[name]

    def _log_unusual_files(self, listing: Listing) -> None:
        for name in listing.unnamable:
            if name not in self._odd:
                self._log.warning("file_name_undecodable", file=name)
        for name, reason in listing.unreadable.items():
            if name not in self._odd:
                self._log.warning("subfolder_unreadable", subfolder=name, reason=reason)
        self._odd = {*listing.unnamable, *listing.unreadable}

    def _log_once(self, name: str, state: object, event: str, **fields: object) -> None:
        """Say something about a file once, and again only when its state has changed."""
        if self._logged.get(name) != state:
            self._log.warning(event, file=name, **fields)
        self._logged[name] = state


def check_readable(paths: Iterable[Path]) -> list[str]:
    """Give one sentence for each folder that cannot be watched now."""
    problems = []
    for path in paths:
        try:
            list_folder(path)
        except OSError as error:
            problems.append(f"folder {path} cannot be read: {error.strerror}")
    return problems

"""The source `folder`: files in a folder of this machine, or of a mount."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from sfmc_import.request import FileInfo
from sfmc_import.settings.values import Seconds
from sfmc_producers.delivery.content import LocalFile
from sfmc_producers.file_systems import file_systems_of
from sfmc_producers.folder import Folder, describe_file
from sfmc_producers.listing import iterate_files, look_again, reason_of
from sfmc_producers.mounts import is_network
from sfmc_producers.notifications import Wakeup
from sfmc_producers.removing import After
from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.sources.receiving import SourceRefusedError, SourceUnavailableError
from sfmc_producers.sources.tables import Kind, Options, Parts
from sfmc_producers.stability import (
    IGNORED_NAMES,
    LOCAL_SECONDS,
    NETWORK_SECONDS,
    FileStat,
    StabilityRule,
    is_complete_at_once,
)
from sfmc_producers.submitter import Submitter
from sfmc_producers.watch import watch_until


class FolderOptions(Options):
    """The lines of a [[source]] of kind `folder`."""

    path: str = Field(min_length=1, description="the folder")
    location: str | None = Field(
        None, min_length=1, description="the name that stands for the folder in the identity of its files"
    )
    pattern: str = Field("*", min_length=1, description='a glob: only files with such a name, such as "*.csv"')
    recursive: bool = Field(False, description="true or false: whether subfolders count")
    stable_seconds: Seconds | None = Field(
        None, description="how long a file must not change; without it 10, on a network file system 60"
    )
    scans: int = Field(2, ge=1, le=100, description="in how many listings it must be the same")
    rescan: Seconds = Field(5.0, description="most seconds between two listings")
    hanging_after: Seconds = Field(30.0, description="seconds without an answer after which the folder is reported")
    marker: str | None = Field(None, min_length=1, description='".done": x.csv is complete when x.csv.done is there')
    temporary: tuple[str, ...] = Field((), description="globs of further names to ignore")
    complete: tuple[str, ...] = Field((), description="globs of names not to ignore")
    open_files: Literal["wait", "run"] = Field("wait", description="wait or run: files that a program has open")
    empty: Literal["skip", "run"] = Field("skip", description="skip or run: files without content")
    after: Literal["keep", "move", "delete"] = Field(
        "keep", description="keep, move or delete: what becomes of a file that was accepted"
    )
    move_to: str | None = Field(None, min_length=1, description="with move: a folder on the same file system")

    @model_validator(mode="after")
    def _moves_elsewhere(self) -> Self:
        if (self.after == "move") != (self.move_to is not None):
            raise ValueError('after = "move" and move_to = "FOLDER" belong together; give both or neither')
        here, to = _absolute(self.path), self.target()
        if to is not None and (to == here or (self.recursive and here in to.parents)):
            raise ValueError(f"move_to: {to} lies in the folder that is watched; choose one outside of it")
        return self

    def target(self) -> Path | None:
        """Give the folder into which files are moved."""
        return None if self.move_to is None else _absolute(self.move_to)

    def rule(self) -> StabilityRule:
        """Give the rule of stability."""
        return StabilityRule(
            scans=self.scans,
            seconds=LOCAL_SECONDS if self.stable_seconds is None else self.stable_seconds,
            ignored=IGNORED_NAMES + self.temporary,
            complete=self.complete,
            marker=self.marker,
            empty=self.empty,
            open_files=self.open_files,
        )

    def folder(self, source: str) -> Folder:
        """Give the folder to watch."""
        path = _absolute(self.path)
        return Folder(
            path=path,
            location=self.location or path.as_posix(),
            mid=self.mid,
            key=self.customer_key,
            pattern=self.pattern,
            recursive=self.recursive,
            rule=self.rule(),
            network_seconds=NETWORK_SECONDS if self.stable_seconds is None else self.stable_seconds,
            source=source,
            after=After(self.after, self.target()),
        )


def _absolute(path: str) -> Path:
    # abspath, not resolve(): the path that a person gave is the identity, also where a link is part of it.
    return Path(os.path.abspath(path))  # noqa: PTH100


class FolderSource:
    """Watches one folder, and lists what is complete in it now; `now` gives seconds since 1970."""

    def __init__(
        self, name: str, folder: Folder, submitter: Submitter, options: FolderOptions, now: Callable[[], float]
    ) -> None:
        self.name, self.folder = name, folder
        self._submitter, self._options, self._now = submitter, options, now

    def run(self, wakeup: Wakeup) -> None:
        """Watch until `wakeup` closes; raises SourceRefusedError when files cannot be moved where they should."""
        check_move(self.folder)
        rescan, hanging_after = self._options.rescan, self._options.hanging_after
        watch_until(wakeup, self._submitter, [self.folder], rescan=rescan, hanging_after=hanging_after)

    @property
    def rule(self) -> StabilityRule:
        """When its files are complete, on the file system that is mounted now."""
        kinds = file_systems_of(self.folder.path, recursive=self.folder.recursive).kinds
        return self.folder.rule_on(is_network=any(map(is_network, kinds)))

    def list_arrivals(self) -> Iterator[Arrival]:
        """Yield the files that are complete now: nothing has changed them for the time of the rule."""
        rule = self.rule
        try:
            for file in iterate_files(self.folder.path, recursive=self.folder.recursive):
                info = self._look(file, rule)
                if info is not None:
                    yield Arrival(file=info, open_content=partial(LocalFile, self.folder.path / file.name, file))
        except OSError as error:
            raise SourceUnavailableError(f"folder {self.folder.path} cannot be read: {reason_of(error)}") from error

    def why_ignored(self, file: FileInfo) -> str | None:
        """Say why a file of this name is never an arrival; None where it can be one."""
        within = file.location.removeprefix(self.folder.location).strip("/")
        if within and not self.folder.recursive:
            return f"it lies in the subfolder {within}, and the source takes none"
        why = self.folder.rule.why_ignored(f"{within}/{file.name}" if within else file.name)
        if why is None and not self.folder.is_named(file.name):
            why = f"the pattern of the source is {self.folder.pattern}"
        return why

    def _look(self, file: FileStat, rule: StabilityRule) -> FileInfo | None:
        path = self.folder.path / file.name
        is_wanted = self.folder.is_named(file.name.rpartition("/")[2])
        if not (is_wanted and is_complete_at_once(file, self._now(), rule)):
            return None
        if rule.marker is not None and not Path(f"{path}{rule.marker}").exists():
            return None
        look = look_again(path, file, open_files=rule.open_files)
        if look.outcome != "unchanged":
            return None
        return replace(describe_file(self.folder, file), content_hash=look.content_hash)


def check_move(folder: Folder) -> None:
    """Refuse to move files to another file system: they would have to be copied, and a copy can end in the middle."""
    to = folder.after.to
    if to is None:
        return
    try:
        there = next(each for each in (to, *to.parents) if each.exists())
        same = there.stat().st_dev == folder.path.stat().st_dev
    except OSError:
        # The folder may come later; a move that is refused then is said and tried again.
        return
    if not same:
        text = f"move_to {to} lies on another file system than {folder.path}: files are moved by renaming them"
        raise SourceRefusedError(text, "choose a folder on the same file system")


def open_folder(options: FolderOptions, parts: Parts) -> FolderSource:
    """Open the source; it looks at the folder when it runs."""
    return FolderSource(parts.name, options.folder(parts.name), parts.intake.submitter, options, time.time)


KIND = Kind(FolderOptions, open_folder)

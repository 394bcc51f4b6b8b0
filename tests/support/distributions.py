"""Builds both distributions, and installs a wheel with what its metadata requires, without a network."""

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, PathDistribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]


class MissingDependencyError(Exception):
    """The development environment does not have a distribution in a version that the metadata permits."""


@dataclass(frozen=True)
class Built:
    """A source archive and the wheel of one distribution."""

    archive: Path
    wheel: Path

    @cached_property
    def contents(self) -> dict[str, bytes]:
        """The files of the wheel by name."""
        with zipfile.ZipFile(self.wheel) as opened:
            return {name: opened.read(name) for name in opened.namelist()}

    def unpacked_archive(self, into: Path) -> Path:
        """The folder of the source archive, unpacked."""
        with tarfile.open(self.archive) as opened:
            opened.extractall(into, filter="data")
        return into / self.archive.name.removesuffix(".tar.gz")


def build(project: Path, into: Path) -> Built:
    """Build a project with the hatchling of this environment."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-t", "wheel", "-d", str(into)]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Built(next(into.glob("*.tar.gz")), next(into.glob("*.whl")))


@dataclass(frozen=True)
class Installation:
    """A virtual environment with wheels in it, and a folder to run programs in."""

    folder: Path
    cwd: Path

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment, found by name, to its end."""
        return subprocess.run(
            [self.program(command[0]), *command[1:]], cwd=self.cwd, env=self.environment(**environment),
            capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip

    def program(self, name: str) -> str:
        """The path of a program of the environment."""
        return str(self.folder / "bin" / name)

    def environment(self, **more: str) -> dict[str, str]:
        """The variables of a program: those of the tests, without any path to this checkout."""
        return {**{name: value for name, value in os.environ.items() if name != "PYTHONPATH"}, **more}


def install(into: Path, *wheels: Built, extras: tuple[str, ...] = ()) -> Installation:
    """Make an environment of `wheels` and of what their metadata requires, and of nothing else.

    The dependencies are links to those of the development environment. Raises MissingDependencyError if the
    metadata of a wheel or of a dependency names one that is not there.
    """
    folder = into / "environment"
    venv.create(folder, with_pip=False)
    site = next(folder.glob("lib/python*/site-packages"))
    ours = [_unpack(wheel, site, folder / "bin") for wheel in wheels]
    names = {_plain(one.name) for one in ours}
    wanted = [needed for one in ours for needed in _required(one.requires, extras)]
    for found in _closure(wanted, names):
        _link(found, site)
    return Installation(folder, into)


def _unpack(built: Built, site: Path, programs: Path) -> PathDistribution:
    with zipfile.ZipFile(built.wheel) as opened:
        opened.extractall(site)
        metadata = next(name for name in opened.namelist() if name.endswith(".dist-info/METADATA"))
    unpacked = PathDistribution(site / Path(metadata).parent)
    for script in unpacked.entry_points.select(group="console_scripts"):
        program = programs / script.name
        program.write_text(f"#!{programs}/python\nimport sys\nfrom {script.module} import {script.attr} as program\n"
                           "sys.exit(program())\n")  # fmt: skip
        program.chmod(0o755)
    return unpacked


def _required(lines: list[str] | None, extras: tuple[str, ...]) -> Iterator[Requirement]:
    for requirement in map(Requirement, lines or ()):
        chosen = [{"extra": extra} for extra in ("", *extras)]
        if requirement.marker is None or any(map(requirement.marker.evaluate, chosen)):
            yield requirement


def _closure(wanted: list[Requirement], present: set[str]) -> Iterator[PathDistribution]:
    """The distributions that `wanted` leads to, each once; those named in `present` are there already."""
    done: set[tuple[str, frozenset[str]]] = set()
    found: dict[str, PathDistribution] = {}
    waiting = [requirement for requirement in wanted if _plain(requirement.name) not in present]
    while waiting:
        requirement = waiting.pop()
        key = (_plain(requirement.name), frozenset(requirement.extras))
        if key in done:
            continue
        done.add(key)
        found[key[0]] = one = _installed(requirement)
        waiting += _required(one.requires, tuple(requirement.extras))
    yield from found.values()


def _installed(requirement: Requirement) -> PathDistribution:
    try:
        found = distribution(requirement.name)
    except PackageNotFoundError:
        raise MissingDependencyError(str(requirement)) from None
    if not requirement.specifier.contains(found.version, prereleases=True):
        raise MissingDependencyError(f"{requirement}, found {found.version}")
    assert isinstance(found, PathDistribution)
    return found


def _link(found: PathDistribution, site: Path) -> None:
    tops = {file.parts[0] for file in found.files or () if file.parts[0] not in {"..", "__pycache__"}}
    for top in tops:
        assert not (site / top).exists(), f"{top} belongs to two distributions"
        (site / top).symlink_to(Path(str(found.locate_file(top))))


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")

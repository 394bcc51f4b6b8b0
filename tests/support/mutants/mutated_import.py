"""A pytest plugin: imports one module of the worker with the wrong change that WRONG_RULE numbers."""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

from tests.support.mutants.wrong_rules import RULES


class WrongRule(importlib.abc.SourceLoader):
    """Loads the module's own source with one change."""

    def __init__(self, path: str, find: str, replace: str) -> None:
        self._path, self._find, self._replace = path, find, replace

    def get_filename(self, _fullname: str) -> str:
        return self._path

    def get_data(self, _path: str) -> bytes:
        text = Path(self._path).read_text(encoding="utf-8")
        if text.count(self._find) != 1:
            raise LookupError(f"{self._path} has {text.count(self._find)} times: {self._find}")
        return text.replace(self._find, self._replace).encode()

    def path_stats(self, _path: str) -> dict[str, int]:
        raise OSError("a wrong module is never kept as bytecode")


class Finder(importlib.abc.MetaPathFinder):
    """Finds the one wrong module before anybody else does."""

    def __init__(self, module: str, find: str, replace: str) -> None:
        self._module, self._find, self._replace = module, find, replace

    def find_spec(
        self, name: str, path: object, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self._module:
            return None
        found = importlib.machinery.PathFinder.find_spec(name, path)  # type: ignore[arg-type]
        assert found is not None
        assert found.origin is not None
        return importlib.util.spec_from_loader(name, WrongRule(found.origin, self._find, self._replace))


sys.meta_path.insert(0, Finder(*RULES[int(os.environ["WRONG_RULE"])]))

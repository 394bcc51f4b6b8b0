"""The house rules a machine can count, over the text of a file; reads no files itself."""

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

LONGEST_FILE = 250
LONGEST_TEST_FILE = 400
LONGEST_FUNCTION = 30
DEEPEST_NESTING = 3
BANNED_NAMES = frozenset({"utils", "util", "helpers", "helper", "manager", "managers", "base", "common", "misc"})
SLEEPS_IN_TESTS = frozenset({"tests/waiting.py"})

LEFT_OVER = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b|NotImplemented" r"Error")
SLEEP = re.compile(r"\bsleep\(")
FOREIGN = re.compile(
    r"/wo"
    r"rk/|/ro"
    r"ot/|/home/\w+/|/tmp/br"
    r"ief|C:\\Us"
    r"ers|"
    r"py"
    r"pi\.org|python"
    r"hosted|registry\.npm"
    r"js|npm"
    r"js\.org"
)
"""Paths of one machine and hosts of package registries: neither belongs into a public repository."""

Block = ast.If | ast.For | ast.While | ast.With | ast.Try | ast.Match | ast.AsyncFor | ast.AsyncWith


def findings(path: str, text: str) -> list[str]:
    """Return every house rule that the file at `path` (relative, with slashes) breaks, as readable lines."""
    found = [*foreign_words(text)]
    if path.endswith(".py"):
        found += [*size_of_file(path, text), *names_in_path(path), *left_overs(text), *sleeps(path, text)]
        found += sizes_of_functions(text)
    return [f"{path}: {finding}" for finding in found]


def size_of_file(path: str, text: str) -> Iterator[str]:
    """Yield a finding for a file that should be several."""
    limit = LONGEST_TEST_FILE if path.startswith("tests/") else LONGEST_FILE
    lines = text.count("\n")
    if lines > limit:
        yield f"{lines} lines, {limit} are allowed"


def sizes_of_functions(text: str) -> Iterator[str]:
    """Yield a finding for each function that is too long or too deep."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > LONGEST_FUNCTION:
                yield f"{node.name} has {lines} lines, {LONGEST_FUNCTION} are allowed"
            depth = max((nesting(child) for child in node.body), default=0)
            if depth > DEEPEST_NESTING:
                yield f"{node.name} nests {depth} blocks, {DEEPEST_NESTING} are allowed"


def nesting(node: ast.AST) -> int:
    """Return how many blocks lie inside one another below and at `node`; an elif is no deeper than its if."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return 0
    own = 1 if isinstance(node, Block) else 0
    below = [nesting(child) - is_elif(node, child) for child in ast.iter_child_nodes(node)]
    return own + max(below, default=0)


def is_elif(node: ast.AST, child: ast.AST) -> bool:
    """Tell whether `child` is the elif of `node`."""
    return isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]


def names_in_path(path: str) -> Iterator[str]:
    """Yield a finding for each part of the path that says nothing about what is in it."""
    for part in PurePosixPath(path).with_suffix("").parts:
        if BANNED_NAMES & set(part.split("_")):
            yield f"the name {part} says nothing"


def left_overs(text: str) -> Iterator[str]:
    """Yield a finding for each mark of unfinished work."""
    for number, line in enumerate(text.splitlines(), 1):
        if LEFT_OVER.search(line):
            yield f"line {number} is left unfinished: {line.strip()}"


def sleeps(path: str, text: str) -> Iterator[str]:
    """Yield a finding for a test that sleeps instead of waiting for a condition."""
    if path.startswith("tests/") and path not in SLEEPS_IN_TESTS and SLEEP.search(text):
        yield "sleeps; wait for a condition with tests/waiting.py"


def foreign_words(text: str) -> Iterator[str]:
    """Yield a finding for each path of one machine and each registry host."""
    for number, line in enumerate(text.splitlines(), 1):
        if FOREIGN.search(line):
            yield f"line {number} names a machine's path or a package registry: {line.strip()[:80]}"

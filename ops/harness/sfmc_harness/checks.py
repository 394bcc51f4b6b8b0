"""Run every check and say what each found; exit code 1 when one of them fails."""

import ast
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

MAX_FILE = 500
MAX_TEST_FILE = 500
MAX_FUNCTION = 30
MAX_NESTING = 3
BANNED_NAMES = frozenset({"utils", "util", "helpers", "helper", "manager", "managers", "base", "common", "misc"})
SLEEPS_IN_TESTS = frozenset({"tests/support/waiting.py"})

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
    limit = MAX_TEST_FILE if path.startswith("tests/") else MAX_FILE
    lines = text.count("\n")
    if lines > limit:
        yield f"{lines} lines, {limit} are allowed"


def sizes_of_functions(text: str) -> Iterator[str]:
    """Yield a finding for each function that is too long or too deep."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MAX_FUNCTION:
                yield f"{node.name} has {lines} lines, {MAX_FUNCTION} are allowed"
            depth = max((nesting(child) for child in node.body), default=0)
            if depth > MAX_NESTING:
                yield f"{node.name} nests {depth} blocks, {MAX_NESTING} are allowed"


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
        yield "sleeps; wait for a condition with tests/support/waiting.py"


def foreign_words(text: str) -> Iterator[str]:
    """Yield a finding for each path of one machine and each registry host."""
    for number, line in enumerate(text.splitlines(), 1):
        if FOREIGN.search(line):
            yield f"line {number} names a machine's path or a package registry: {line.strip()[:80]}"


BIN = Path(sys.executable).parent
COMPOSE_FILE = "docker-compose.yml"
DEMO = ("--env-file", "ops/compose/demo.env", "--profile", "demo")
DOCKERFILE = "ops/Dockerfile"


@dataclass(frozen=True)
class Step:
    """One check: what it makes sure of, and the command that fails when it is not so."""

    name: str
    command: tuple[str, ...]


def tool(name: str, *arguments: str) -> tuple[str, ...]:
    """Return the command of a tool installed beside this interpreter."""
    return (str(BIN / name), *arguments)


def steps() -> list[Step]:
    """Return every check that this platform has the tools for, quickest first."""
    return [
        Step("style", tool("ruff", "check", "--quiet")),
        Step("layout", tool("ruff", "format", "--check", "--quiet")),
        Step("compose file against its schema", tool(*SCHEMA_CHECK)),
        *linux_only_steps(),
        Step("import contracts", tool("lint-imports", "--no-logo")),
        Step("generated pages", (sys.executable, "-m", "sfmc_harness.pages", "--check")),
        Step("types", tool("mypy")),
    ]


def linux_only_steps() -> list[Step]:
    """Return the checks whose tools are published for Linux only (real Compose and hadolint binaries)."""
    if not sys.platform.startswith("linux"):
        return []
    compose = ("docker-compose", "--file", COMPOSE_FILE)
    return [
        Step("compose file", tool(*compose, "config", "--quiet")),
        Step("compose file with the demo", tool(*compose, *DEMO, "config", "--quiet")),
        Step("image recipe", tool("hadolint", DOCKERFILE)),
    ]


SCHEMA_CHECK = ("check-jsonschema", "--quiet", "--builtin-schema", "vendor.compose-spec", COMPOSE_FILE)


def main() -> int:
    """Run all checks, one line for each, the words of a tool only where it fails."""
    failed = [step.name for step in steps() if not passes(step)]
    if failed:
        print(f"check: failed: {', '.join(failed)}")
        return 1
    return 0


def passes(step: Step) -> bool:
    """Run one check and report it."""
    began = time.monotonic()
    answer = subprocess.run(step.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    verdict = "failed" if answer.returncode else "ok"
    print(f"check: {step.name}: {verdict} ({time.monotonic() - began:.1f} s)", flush=True)
    if answer.returncode:
        print(answer.stdout, flush=True)
    return answer.returncode == 0


if __name__ == "__main__":
    sys.exit(main())

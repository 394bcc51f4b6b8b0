"""Runs every check and prints one line for each; exit code 1 when one of them fails.

The tools do what they can (ruff, mypy, import-linter, codespell, check-jsonschema, zizmor, Compose, hadolint).
The rules here are those that none of them has: sizes in lines, names that say nothing, paths of one machine.
"""

import ast
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sfmc_harness import pages

MAX_FILE = 500
MAX_FUNCTION = 30
BANNED_NAMES = frozenset({"utils", "util", "helpers", "helper", "manager", "managers", "base", "common", "misc"})

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

UNFINISHED = re.compile(r"\bNotImplemented" r"Error\b")
"""A function that is still to be written; ruff finds the marks in comments (FIX) but not this."""


def findings(path: str, text: str) -> list[str]:
    """Return every house rule that the file at `path` (relative, with slashes) breaks, as readable lines."""
    found = [*lines_with(FOREIGN, text, "names a machine's path or a package registry")]
    if path.endswith(".py"):
        found += [*size_of_file(text), *names_in_path(path), *lines_with(UNFINISHED, text, "is left unfinished")]
        found += sizes_of_functions(text)
    return [f"{path}: {finding}" for finding in found]


def lines_with(pattern: re.Pattern[str], text: str, complaint: str) -> Iterator[str]:
    """Yield a finding for each line in which the pattern occurs."""
    for number, line in enumerate(text.splitlines(), 1):
        if pattern.search(line):
            yield f"line {number} {complaint}: {line.strip()[:80]}"


def size_of_file(text: str) -> Iterator[str]:
    """Yield a finding for a file that should be several."""
    lines = text.count("\n")
    if lines > MAX_FILE:
        yield f"{lines} lines, {MAX_FILE} are allowed"


def sizes_of_functions(text: str) -> Iterator[str]:
    """Yield a finding for each function with too many lines (ruff counts statements)."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MAX_FUNCTION:
                yield f"{node.name} has {lines} lines, {MAX_FUNCTION} are allowed"


def names_in_path(path: str) -> Iterator[str]:
    """Yield a finding for each part of the path that says nothing about what is in it."""
    for part in PurePosixPath(path).with_suffix("").parts:
        if BANNED_NAMES & set(part.split("_")):
            yield f"the name {part} says nothing"


ROOT = Path(__file__).parents[3]
BIN = Path(sys.executable).parent
COMPOSE_FILE = "docker-compose.yml"
DEMO = ("--env-file", "ops/compose/demo.env", "--profile", "demo")
DOCKERFILE = "ops/Dockerfile"
SCHEMAS = {
    "vendor.compose-spec": (COMPOSE_FILE,),
    "vendor.github-workflows": (".github/workflows/*.yml",),
    "vendor.github-actions": (".github/actions/*/action.yml",),
    "vendor.github-issue-forms": (".github/ISSUE_TEMPLATE/bug.yml", ".github/ISSUE_TEMPLATE/feature.yml"),
    "vendor.dependabot": (".github/dependabot.yml",),
}
"""The schemas that check-jsonschema brings along, and the files that they describe."""


@dataclass(frozen=True)
class Step:
    """One check: its name, and a call that returns what is wrong ("" when nothing is)."""

    name: str
    run: Callable[[], str]


def tool(name: str, program: str, *arguments: str) -> Step:
    """Return the check that runs a program installed beside this interpreter."""
    return Step(name, lambda: output_if_failed(str(BIN / program), *arguments))


def output_if_failed(*command: str) -> str:
    """Run a command; return its output when it fails, else nothing."""
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return (done.stdout or f"exit code {done.returncode}") if done.returncode else ""


def steps() -> list[Step]:
    """Return every check that this platform has the tools for, quickest first."""
    return [
        tool("style", "ruff", "check", "--quiet"),
        # The rule is in preview; with preview = true in pyproject.toml other rules would change too.
        tool("nesting", "ruff", "check", "--quiet", "--preview", "--select", "PLR1702"),
        tool("layout", "ruff", "format", "--check", "--quiet"),
        Step("house rules", broken_rules),
        Step("words", banned_words),
        Step("generated pages", outdated_pages),
        *(schema_step(schema, patterns) for schema, patterns in SCHEMAS.items()),
        *unix_only_steps(),
        *linux_only_steps(),
        tool("fragments of the changelog", "towncrier", "build", "--draft", "--version", "0"),
        tool("import contracts", "lint-imports", "--no-logo"),
        tool("types", "mypy"),
    ]


def schema_step(schema: str, patterns: tuple[str, ...]) -> Step:
    """Return the check that compares files with a schema."""
    files = [str(path.relative_to(ROOT)) for pattern in patterns for path in sorted(ROOT.glob(pattern))]
    return tool(f"schema {schema}", "check-jsonschema", "--quiet", "--builtin-schema", schema, *files)


def unix_only_steps() -> list[Step]:
    """Return the check whose tool is published for Linux and macOS only."""
    if sys.platform not in {"linux", "darwin"}:
        return []
    return [tool("security of workflows", "zizmor", "--offline", "--quiet", ".github")]


def linux_only_steps() -> list[Step]:
    """Return the checks whose tools are published for Linux only (real Compose and hadolint binaries)."""
    if sys.platform != "linux":
        return []
    compose = ("docker-compose", "--file", COMPOSE_FILE)
    return [
        tool("compose file", *compose, "config", "--quiet"),
        tool("compose file with the demo", *compose, *DEMO, "config", "--quiet"),
        tool("image recipe", "hadolint", DOCKERFILE),
    ]


def tracked_files() -> list[str]:
    """Return the files under version control that people write, by their paths from the root."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    names = listed.stdout.split("\0")
    return [name for name in names if name and not name.endswith(".lock") and (ROOT / name).is_file()]


def broken_rules() -> str:
    """Return the findings of our own rules in all files."""
    files = ((name, (ROOT / name).read_text(errors="replace")) for name in tracked_files())
    return "\n".join(finding for name, text in files for finding in findings(name, text))


def banned_words() -> str:
    """Return spelling mistakes and the words of ops/words.txt, which have a plainer replacement."""
    return output_if_failed(str(BIN / "codespell"), *tracked_files())


def outdated_pages() -> str:
    """Return the generated pages that differ from what they are made from."""
    return "\n".join(f"{page} is out of date: python -m sfmc_harness.pages" for page in pages.outdated())


def main() -> int:
    """Run all checks, several at a time; print one line for each, the output of a tool only where it fails."""
    chosen = steps()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        passed = list(pool.map(passes, chosen))
    failed = [step.name for step, ok in zip(chosen, passed, strict=True) if not ok]
    if failed:
        print(f"check: failed: {', '.join(failed)}")
    return 1 if failed else 0


def passes(step: Step) -> bool:
    """Run one check and report it."""
    started = time.monotonic()
    problem = step.run()
    line = f"check: {step.name}: {'failed' if problem else 'ok'} ({time.monotonic() - started:.1f} s)"
    print("\n".join(filter(None, (line, problem.rstrip()))), flush=True)
    return not problem


if __name__ == "__main__":
    sys.exit(main())

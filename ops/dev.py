#!/usr/bin/env python3
"""The developer's commands on a machine with only Python: makes .venv from the lock file and runs in it.

    python3 ops/dev.py demo [--keep] [--json] [--fast]    watch the system at work on this machine
    python3 ops/dev.py test [PYTEST ARGUMENT …]           everything: all checks, then all tests
    python3 ops/dev.py check                              style, types, import contracts, files of ops/
    python3 ops/dev.py coverage [FOLDER]                  all tests with branch coverage, compared with its limits;
                                                          with FOLDER: the data files in it instead of the tests
    python3 ops/dev.py chaos [ARGUMENT …]                 faults in the whole system, then a count (--help explains)
    python3 ops/dev.py simulate [ARGUMENT …]              faults on virtual time, by seed (--help explains)
    python3 ops/dev.py bench [ARGUMENT …]                 the figures of speed, each with its goal (--help explains)
    python3 ops/dev.py size [ARGUMENT …]                  what a load needs, by a model (--help explains)
    python3 ops/dev.py lock                               renew the lock files (needs uv)

Standard library only. uv is used where it is on PATH.
"""

import sys

if not (3, 11) <= sys.version_info < (3, 15):
    sys.exit("ops/dev.py needs Python 3.11 to 3.14 and was started with " + sys.version.split()[0])

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
LOCKS = ROOT / "ops" / "locks"
LOCK = LOCKS / "development.lock"
MADE_FROM = ENVIRONMENT / "made-from"
UNFINISHED = ENVIRONMENT / "unfinished"
PROJECTS = (ROOT, ROOT / "ops" / "sandbox")
EXPORTS = {
    "development.lock": ("--all-packages", "--all-extras", "--group", "dev"),
    "production.lock": (
        "--package",
        "sfmc-import",
        "--no-default-groups",
        *(f"--extra={name}" for name in ("sftp", "aws", "azure", "serve", "pgp", "parquet", "tokens", "patterns")),
    ),
    "sandbox.lock": ("--package", "sfmc-sandbox", "--no-default-groups"),
    "build.lock": ("--only-group", "build"),
    "browser.lock": ("--only-group", "browser"),
}
MAX_TEST_PROCESSES = 4
COMPILE = "import compileall, sys; compileall.compile_dir(sys.argv[1], quiet=2, workers=0)"
"""What some packages have for other Pythons does not compile, and is left out."""


def main(arguments: list[str]) -> NoReturn:
    """Run the command named first; ends the process with its exit code."""
    commands = {
        "demo": demo, "test": test, "check": check, "coverage": coverage, "chaos": chaos, "simulate": simulate,
        "bench": bench, "size": size, "lock": lock,
    }  # fmt: skip
    usage = (__doc__ or "").strip()
    if arguments[:1] in (["--help"], ["-h"]):
        print(usage)
        sys.exit(0)
    if not arguments or arguments[0] not in commands:
        say(f"ops/dev.py: there is no command {arguments[0]!r}\n\n{usage}" if arguments else usage)
        sys.exit(2)
    os.chdir(ROOT)
    command = commands[arguments[0]]
    if command is not lock:
        make_environment()
    sys.exit(command(arguments[1:]))


def demo(arguments: list[str]) -> int:
    """Become the demo, so that Ctrl-C and signals reach it and nothing else."""
    return become([str(ENVIRONMENT / "bin" / "sfmc-import"), "demo", *arguments])


def size(arguments: list[str]) -> int:
    """Become the model of sizes."""
    return become([str(PYTHON), "-m", "sfmc_harness.sizing", *arguments])


def bench(arguments: list[str]) -> int:
    """Become the benchmark."""
    return become([str(PYTHON), "-m", "sfmc_harness.bench", *arguments])


def coverage(arguments: list[str]) -> int:
    """Become the measurement of branch coverage."""
    return become([str(PYTHON), "-m", "sfmc_harness.coverage", *arguments])


def chaos(arguments: list[str]) -> int:
    """Become the chaos program."""
    return become([str(PYTHON), "-m", "sfmc_harness.chaos", *arguments])


def simulate(arguments: list[str]) -> int:
    """Become the simulation, or with --mutants the count of wrong scripts and rules that it detects."""
    module = "tests.support.mutants.simulated" if "--mutants" in arguments else "sfmc_harness.simulation"
    return become([str(PYTHON), "-m", module, *(word for word in arguments if word != "--mutants")])


def check(arguments: list[str]) -> int:
    """Become the checks that need no test."""
    return become([str(PYTHON), "-m", "sfmc_harness.checks", *arguments])


def test(arguments: list[str]) -> int:
    """Run all checks, then all tests; the test summary comes last."""
    # Two more than cores: many tests wait for processes that they started.
    processes = str(min((os.cpu_count() or 1) + 2, MAX_TEST_PROCESSES))
    # The tests start some thousand Python processes: each would compile everything anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    checked = 0 if arguments else subprocess.call([str(PYTHON), "-m", "sfmc_harness.checks"])
    tested = subprocess.call([str(PYTHON), "-m", "pytest", *(arguments or ["-n", processes])])
    return checked or tested


def lock(_arguments: list[str]) -> int:
    """Resolve all dependencies once, then export the lock files from that one answer, so that they cannot differ."""
    if not shutil.which("uv"):
        sys.exit("uv is needed to renew the lock files and is not on PATH: pip install uv")
    # uv.lock names the address of a package registry in every entry, so it is not kept (ops/docs/adr/0004).
    subprocess.check_call(["uv", "lock", "--quiet", "--upgrade"])
    export = ["uv", "export", "--quiet", "--locked", "--no-emit-workspace", "--no-header", "--no-annotate"]
    for target, options in EXPORTS.items():
        subprocess.check_call([*export, *options, "--output-file", str(LOCKS / target)])
    return 0


def become(command: list[str]) -> NoReturn:
    """Replace this process by `command`."""
    sys.stdout.flush()
    os.execv(command[0], command)  # noqa: S606 - there is no shell to want


def make_environment() -> None:
    """Make or renew .venv so that it holds what the lock file says; does nothing when it already does."""
    with alone():
        wanted = fingerprint()
        if MADE_FROM.exists() and MADE_FROM.read_text() == wanted and works(PYTHON):
            return
        say(f"making .venv from {LOCK.name} (this happens once and takes about a minute)")
        if UNFINISHED.exists() or not works(PYTHON):
            shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        ENVIRONMENT.mkdir(exist_ok=True)
        UNFINISHED.touch()
        MADE_FROM.unlink(missing_ok=True)
        for step in steps_with_uv() if shutil.which("uv") else steps_with_pip():
            run_step(step)
        MADE_FROM.write_text(wanted)
        UNFINISHED.unlink()


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Keep a second command in this checkout waiting while .venv is being made."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def fingerprint() -> str:
    """Return what .venv depends on as one line: the lock, the project's metadata, this Python, this place."""
    contents = LOCK.read_bytes() + b"".join((project / "pyproject.toml").read_bytes() for project in PROJECTS)
    return f"{hashlib.sha256(contents).hexdigest()} {sys.version_info[0]}.{sys.version_info[1]} {ROOT}"


def works(python: Path) -> bool:
    """Tell whether .venv has an interpreter of this Python's version that runs."""
    version = "import sys; print(sys.version_info[:2])"
    try:
        answer = subprocess.run([python, "-c", version], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return answer.stdout.strip() == str(sys.version_info[:2])


def steps_with_uv() -> list[list[str]]:
    """Return the commands that make .venv with uv."""
    install = ["uv", "pip", "install", "--quiet", "--compile-bytecode", "--python", str(PYTHON)]
    return [
        ["uv", "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(ENVIRONMENT)],
        [*install, "--require-hashes", "-r", str(LOCK)],
        [*install, "--no-deps", "--no-build-isolation", "--offline", *editable()],
    ]


def steps_with_pip() -> list[list[str]]:
    """Return the commands that make .venv with the standard library's venv and pip."""
    pip = [sys.executable, "-m", "pip", "--python", str(PYTHON)]
    venv = [sys.executable, "-m", "venv", str(ENVIRONMENT)]
    if importlib.util.find_spec("ensurepip"):
        pip = [str(PYTHON), "-m", "pip"]
    elif importlib.util.find_spec("pip"):
        venv.append("--without-pip")
    else:
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        sys.exit(f"this Python cannot make environments: apt install {package} (Debian, Ubuntu), or install uv")
    install = [*pip, "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    # The lock file names all that is needed: there is nothing to resolve. All cores compile, where pip would use one.
    return [
        venv,
        [*install, "--no-deps", "--no-compile", "--require-hashes", "-r", str(LOCK)],
        [str(PYTHON), "-c", COMPILE, str(ENVIRONMENT)],
        [*install, "--no-deps", "--no-build-isolation", "--no-index", *editable()],
    ]


def editable() -> list[str]:
    """Return the arguments that install both distributions so that changes in the checkout are seen at once."""
    return [part for project in PROJECTS for part in ("--editable", str(project))]


def run_step(command: list[str]) -> None:
    """Run one command quietly; on failure show what it printed and end with one line."""
    answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if answer.returncode:
        say(answer.stdout.strip())
        sys.exit(f"could not make .venv, code {answer.returncode} (its output is above): {' '.join(command)}")


def say(line: str) -> None:
    """Print a line for the person at the terminal; standard output belongs to the command itself."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)

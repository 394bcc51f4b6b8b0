"""The help of the producers' commands is quick because it loads no heavy library."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("library", ["celery", "structlog", "zeep", "pydantic", "watchdog", "redis"])
def test_reading_the_commands_help_loads_none_of_the_heavy_libraries(library: str) -> None:
    program = f"import sys, sfmc_producers.cli; sys.exit({library!r} in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0

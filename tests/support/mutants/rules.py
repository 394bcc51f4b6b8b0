"""Runs the unit tests of the rules in a process whose worker has one wrong rule."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
TESTS = (
    "tests/unit/sfmc_import/test_states.py",
    "tests/unit/sfmc_import/test_faults.py",
    "tests/unit/sfmc_import/test_retrying.py",
    "tests/unit/sfmc_import/test_calls.py",
    "tests/unit/sfmc_import/test_runs.py",
    "tests/unit/sfmc_import/test_run_dates.py",
    "tests/unit/sfmc_import/test_clocks.py",
    "tests/unit/sfmc_import/test_routing.py",
    "tests/unit/sfmc_import/service",
    "tests/unit/sfmc_import/test_own_errors.py",
    "tests/unit/sfmc_import/test_request.py",
    "tests/unit/sfmc_import/test_checking.py",
    "tests/unit/sfmc_import/test_file_spec.py",
    "tests/unit/sfmc_import/test_outlook.py",
    "tests/unit/sfmc_import/marketing_cloud/test_kept_connections.py",
    "tests/unit/sfmc_producers/test_stability.py",
    "tests/unit/sfmc_producers/test_named_looks.py",
    "tests/unit/sfmc_import/test_sealing.py",
    "tests/unit/sfmc_import/marketing_cloud/test_shared_tokens.py",
    "tests/unit/sfmc_import/marketing_cloud/test_strange_tokens.py",
)
FAILED = 1


def is_detected(number: int) -> bool:
    """Tell whether a test fails under wrong rule `number`; raises when the tests could not run at all."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.support.mutants.mutated_import",
        "-p",
        "no:randomly",
        "--hypothesis-profile=project",
        "-x",
        "-q",
    ]
    environment = os.environ | {"WRONG_RULE": str(number), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([*command, *TESTS], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in {0, FAILED}:
        raise RuntimeError(f"wrong rule {number}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.returncode == FAILED

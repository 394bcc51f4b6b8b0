"""The check itself: small modules that each change one global of a host are noticed."""

from pathlib import Path

import pytest

from tests.contract.import_safety.accepted import unexpected
from tests.contract.import_safety.children import Answer, run

MUTANTS = {
    "celery.current app": "import celery; app = celery.Celery('sfmc-import')",
    "celery.signals.worker_ready": "from celery.signals import worker_ready as s; s.connect(lambda **_: 0, weak=False)",
    "kombu.aliases": "import kombu.transport as t; t.TRANSPORT_ALIASES['redis'] = 'sfmc_transport.channel:Transport'",
    "kombu.serializers": "from kombu.serialization import register; register('own', str, str, 'text/own')",
    "excepthook": "import sys; sys.excepthook = print",
    "threading.excepthook": "import threading; threading.excepthook = print",
    "stdout": "import io, sys; sys.stdout = io.TextIOWrapper(sys.stdout.detach())",
    "logging.root.handlers": "import logging; logging.getLogger().addHandler(logging.NullHandler())",
    "structlog.config": "import structlog; structlog.configure(processors=[])",
    "warnings.filters": "import warnings; warnings.simplefilter('ignore')",
    "signal SIGTERM": "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    "threads": "import threading; threading.Thread(target=threading.Event().wait, daemon=True, name='own').start()",
    "environment": "import os; os.environ['CELERY_LOG_LEVEL'] = '20'",
    "audit": "import socket; socket.socket().bind(('127.0.0.1', 0))",
}


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> Answer:
    """Import all mutants, one after the other, in one host."""
    folder = tmp_path_factory.mktemp("mutants")
    names = {row: f"mutant_{number}" for number, row in enumerate(MUTANTS)}
    for row, text in MUTANTS.items():
        Path(folder, f"{names[row]}.py").write_text(text)
    steps = [(row, f"import {names[row]}") for row in MUTANTS]
    return run(*steps, cache=folder / "compiled", host=True, PYTHONPATH=str(folder))


@pytest.mark.parametrize("row", MUTANTS)
def test_a_module_that_changes_one_global_is_noticed(row: str, answer: Answer) -> None:
    assert answer.error == ""
    found = unexpected("mutant", {row: answer.steps[row]})

    assert any(f", {row}: {row} was" in line for line in found)

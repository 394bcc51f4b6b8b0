"""A host program keeps its globals: after the import of our modules, after a submit, after our Celery app is used."""

from pathlib import Path

import pytest

from sfmc_local.redis_server import Valkey
from tests.contract.import_safety.accepted import unexpected
from tests.contract.import_safety.children import import_alone, run

pytestmark = pytest.mark.timeout(600)
ROOT = Path(__file__).parents[3]
SOURCES = ("worker", "producers", "ops/local", "ops/sandbox", "ops/harness")
PUBLIC = (
    "sfmc_import.client",
    "sfmc_import.api_client",
    "sfmc_import.request",
    "sfmc_import.events",
    "sfmc_import.celery_app",
    "sfmc_import.tasks",
    "sfmc_import.settings",
    "sfmc_import.logs",
    "sfmc_transport",
    "sfmc_producers.watch",
    "sfmc_sandbox",
)
HEAVY = {"celery", "zeep", "lxml", "pydantic", "urllib3"}
IF_THERE = {"opentelemetry", "cryptography", "cffi", "_cffi_backend"}
"""What redis-py loads where a host has it; we ask for none of it, the libraries of our tests do."""

MAX_MODULES = 409
SUBMIT = "from sfmc_import.client import Client; client = Client({url!r}, mid='1'); client.submit(customer_key='k')"
CONFIGURE = "from sfmc_import.celery_app import app; app.conf.broker_url; app.connection_for_write().transport"


def every_module() -> list[str]:
    """Name each module of the six packages but `__main__`, which runs when it is imported."""
    files = [(root, file) for root in SOURCES for file in (ROOT / root).glob("sfmc_*/**/*.py")]
    names = (".".join(file.relative_to(ROOT / root).with_suffix("").parts) for root, file in files)
    return sorted(name.removesuffix(".__init__") for name in names if not name.endswith("__main__"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compiled")


@pytest.mark.parametrize("module", PUBLIC)
def test_importing_a_public_module_changes_nothing_in_a_host_that_has_set_up_everything(
    module: str, cache: Path
) -> None:
    answer = run(("import", f"import {module}"), cache=cache, host=True)

    assert answer.error == ""
    assert unexpected(module, answer.steps) == []
    assert answer.shared_task == "host"


@pytest.mark.nightly
def test_every_module_can_be_imported_alone_and_changes_nothing_in_a_bare_interpreter(cache: Path) -> None:
    answers = import_alone(every_module(), cache=cache)

    assert len(answers) > 100
    assert {name: answer.error[-300:] for name, answer in answers.items() if answer.error} == {}
    assert [line for name, answer in answers.items() for line in unexpected(name, answer.steps)] == []


def test_a_host_that_only_submits_loads_no_celery_no_soap_and_few_modules(cache: Path) -> None:
    answer = run(("import", "from sfmc_import.client import submit"), cache=cache)

    assert HEAVY.intersection(answer.modules) == set()
    assert len([name for name in answer.modules if name.partition(".")[0] not in IF_THERE]) <= MAX_MODULES


@pytest.mark.parametrize("host", [True, False])
def test_one_submit_changes_nothing_but_kombus_memory_of_its_own_class(
    host: bool, cache: Path, redis: object, redis_server: Valkey
) -> None:
    steps = (("import", "import sfmc_import.client"), ("submit", SUBMIT.format(url=redis_server.url)))
    answer = run(*steps, cache=cache, host=host)

    assert answer.error == ""
    assert unexpected("sfmc_import.client", answer.steps) == []
    assert host or HEAVY.intersection(answer.modules) == set()


@pytest.mark.parametrize("address", ["redis://127.0.0.1:1/0", "unix:///tmp/v.sock", "sentinel://h/0?master_name=m"])
def test_configuring_our_celery_app_leaves_the_app_of_the_host_alone(address: str, cache: Path) -> None:
    steps = (("import", "import sfmc_import.celery_app"), ("configure", CONFIGURE))
    answer = run(*steps, cache=cache, host=True, SFMC_REDIS_URL=address)

    assert answer.error == ""
    assert unexpected("sfmc_import.celery_app", answer.steps) == []
    assert answer.shared_task == "host"

"""For every test: its layer as a marker, a clean environment, a sealed network, a real Valkey, nothing left behind."""

import gc
import logging
import os
import signal
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py
import structlog
from hypothesis import HealthCheck, settings

from sfmc_import.redaction import KNOWN
from sfmc_local.redis_server import Valkey
from tests.support.event_schema import problems_in
from tests.support.left_running import left_running
from tests.support.sealing import no_processes, scrub_environment, seal
from tests.support.secrets_watch import WATCH
from tests.support.sharing import ByModule
from tests.support.valkey_server import keys_without_end, undescribed

TESTS = Path(__file__).parent
LAYERS = ("chaos", "e2e", "integration", "contract", "unit")
"""From the longest tests to the shortest: where several processes share them, none begins a long one at the end."""

EXAMPLES = {"unit": 10, "thorough": 1000}
"""How many examples hypothesis generates when the unit layer runs alone, and nightly; 100 otherwise."""

scrub_environment(os.environ)
seal()
# A shell ignores Ctrl-C for what it starts in the background, and the children of these tests would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
# How fast examples are made says something about the machine, nothing about the code.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
for _name, _examples in EXAMPLES.items():
    settings.register_profile(_name, settings.get_profile("project"), max_examples=_examples)
settings.load_profile("project")


def pytest_configure(config: pytest.Config) -> None:
    """Make the unit layer alone quick: it tries fewer generated examples, unless `--hypothesis-profile` says more."""
    if is_unit_alone(config) and not config.getoption("--hypothesis-profile"):
        settings.load_profile("unit")


def is_unit_alone(config: pytest.Config) -> bool:
    """Tell whether a run is of the unit layer, by `-m unit` or by its paths."""
    paths = [config.invocation_params.dir / given.partition("::")[0] for given in config.args]
    return config.option.markexpr == "unit" or all(path.is_relative_to(TESTS / "unit") for path in paths)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect without looking for garbage: what is collected stays to the end, and a third of the time went there."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark each test with its layer, which is its folder; leave `nightly` tests out unless they are asked for."""
    for item in items:
        layer = item.path.relative_to(TESTS).parts[0]
        if layer in LAYERS:
            item.add_marker(layer)
    if "nightly" not in config.option.markexpr:
        nightly = [item for item in items if item.get_closest_marker("nightly")]
        items[:] = [item for item in items if not item.get_closest_marker("nightly")]
        config.hook.pytest_deselected(items=nightly)
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: LAYERS.index(item.path.relative_to(TESTS).parts[0]))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByModule:
    """Share the tests out when several processes run them."""
    return ByModule(config, log)


def pytest_collection_finish() -> None:
    """From now on only what tests make is looked through."""
    gc.collect()
    gc.freeze()
    # Once more: how many are left decides when garbage is looked for next, and those that are frozen do not count.
    gc.collect()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Let a unit test fail that starts a process, in its fixtures too."""
    if item.get_closest_marker("unit"):
        with no_processes():
            return (yield)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep what a test printed and logged, for the look at the end."""
    report = yield
    if report.when == "teardown":
        WATCH.keep(item.nodeid, "\n".join(text for _, text in report.sections))
    return report


@pytest.fixture(scope="session", autouse=True)
def no_test_shows_a_secret() -> Iterator[None]:
    """At the end of the run: no test printed or logged a secret that was used in any test of this process."""
    yield
    seen = WATCH.seen_at_the_end()
    assert not seen, "\n".join(seen[:20])


@pytest.fixture(scope="module", autouse=True)
def no_thread_outlives_its_module() -> Iterator[None]:
    """After the tests of a module: no thread runs on that one of them started; the next ones would count its work."""
    before = threading.enumerate()
    yield
    left = left_running(before)
    assert not left, f"threads run on: {', '.join(left)}"


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Valkey]:
    """A real server, one for each test process; never stop it, take `own_valkey` for that."""
    with Valkey() as server:
        yield server


@pytest.fixture
def redis(redis_server: Valkey) -> Iterator[redis_py.Redis]:
    """A client of the session's server; the server is empty before each test."""
    with redis_py.Redis.from_url(redis_server.url, decode_responses=True, socket_timeout=10) as client:
        yield client


@pytest.fixture
def own_valkey() -> Iterator[Valkey]:
    """A server of this test alone, to be killed, frozen and restarted."""
    with Valkey(tcp=True) as server:
        yield server


@pytest.fixture(autouse=True)
def no_key_outlives_its_use(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test that used Redis: every key has a time to live or is bounded, and is described; then all go."""
    if "redis_server" not in request.fixturenames:
        yield
        return
    server: Valkey = request.getfixturevalue("redis_server")
    with redis_py.Redis.from_url(server.url, socket_timeout=10) as client:
        client.flushall()
        yield
        endless, unknown = keys_without_end(client), undescribed(client)
        client.flushall()
        client.script_flush()
    assert not endless, f"keys without time to live: {endless}"
    assert not unknown, f"the schema of the ledger does not have: {unknown}"


@pytest.fixture(autouse=True)
def every_event_keeps_its_schema(request: pytest.FixtureRequest, no_key_outlives_its_use: None) -> Iterator[None]:
    """After each test that used Redis: every event on the stream is one that ops/events describes."""
    if "redis_server" not in request.fixturenames:
        yield
        return
    server: Valkey = request.getfixturevalue("redis_server")
    yield
    with redis_py.Redis.from_url(server.url, socket_timeout=10) as client:
        wrong = problems_in(client)
    assert not wrong, "\n".join(wrong[:10])


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Give each test the logging configuration of a fresh process, which has learned no secrets."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()
    KNOWN.forget()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many cases the enumerating tests went through."""
    passed = terminalreporter.getreports("passed")
    cases = sum(int(value) for report in passed for name, value in report.user_properties if name == "cases")
    if cases:
        terminalreporter.write_line(f"{cases} enumerated cases held")

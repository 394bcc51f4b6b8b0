"""The demo as a person runs it: what it shows, how it ends, and that it leaves nothing behind."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import redis as redis_py

from sfmc_local.redis_server import Valkey
from tests.support.waiting import eventually

DEMO = [sys.executable, "-u", "-m", "sfmc_import", "demo", "--fast"]
PARTS = 6
EXPECTED = [
    ("contacts", "completed", 500),
    ("contacts", "duplicate", None),
    ("contacts", "duplicate", None),
    ("newsletter", "completed", 300),
    ("orders", "completed_with_errors", 200),
]


class Running:
    """A demo under way: its process and the file it prints to."""

    def __init__(self, process: subprocess.Popen[bytes], printed: Path) -> None:
        self.process, self._printed = process, printed
        self._seen: dict[int, psutil.Process] = {}

    @property
    def text(self) -> str:
        return self._printed.read_text()

    def await_text(self, words: str, within: float = 60) -> None:
        eventually(lambda: words in self.text or self.process.poll() is not None, within, f"the demo says {words!r}")
        assert words in self.text, self.text

    def parts(self) -> list[psutil.Process]:
        """The processes below the demo; each is remembered, so that its end can be seen."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        self._seen |= {child.pid: child for child in children}
        return children

    def await_parts(self) -> None:
        eventually(lambda: len(self.parts()) >= PARTS, 60, "all processes of the demo run")

    def part(self, word: str) -> psutil.Process:
        return next(child for child in self.parts() if word in child.cmdline())

    def await_silence(self) -> None:
        eventually(lambda: not any(map(lives, self._seen.values())), 60, "every process of the demo has ended")


def lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


@contextmanager
def running(tmp_path: Path, *options: str, **settings: str) -> Iterator[Running]:
    printed = tmp_path / "printed"
    with printed.open("wb") as output:
        process = subprocess.Popen([*DEMO, *options], stdout=output, stderr=output, env=os.environ | settings)
    try:
        yield Running(process, printed)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def endings(text: str) -> list[tuple[str, str, int | None]]:
    """Definition, outcome and row count of every request whose end is in an event stream."""
    events = [json.loads(line) for line in text.splitlines()]
    ended = [e for e in events if e["type"].rpartition(".")[2] in {outcome for _, outcome, _ in EXPECTED}]
    return sorted((e["subject"], e["type"].rpartition(".")[2], e["data"].get("rows_total")) for e in ended)


def test_it_ends_with_a_table_of_every_request_and_code_0(tmp_path: Path) -> None:
    with running(tmp_path) as demo:
        demo.await_parts()
        code = demo.process.wait(90)

    assert code == 0, demo.text
    table = [re.sub(r"100\d\d\d", "ID", line).split() for line in demo.text.splitlines()]
    assert ["newsletter", "list", "newsletter.csv", "ID", "completed", "300", "290", "10", "0"] in table
    assert "5 requests, 3 starts in Marketing Cloud, none twice" in demo.text
    demo.await_silence()


@pytest.mark.nightly
def test_as_json_it_prints_the_events_and_nothing_else(tmp_path: Path) -> None:
    with running(tmp_path, "--json") as demo:
        assert demo.process.wait(90) == 0, demo.text

    assert endings(demo.text) == EXPECTED


@pytest.mark.parametrize(
    "moment", ["sfmc.import.started", pytest.param("sfmc.import.accepted", marks=pytest.mark.nightly)]
)
def test_a_worker_killed_on_the_way_costs_nothing(tmp_path: Path, moment: str) -> None:
    with running(tmp_path, "--json") as demo:
        demo.await_text(moment)
        demo.part("worker").kill()
        assert demo.process.wait(90) == 0, demo.text

    assert endings(demo.text) == EXPECTED


@pytest.mark.nightly
def test_kept_running_it_takes_another_file_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    with running(tmp_path, "--keep") as demo:
        demo.await_text("sfmc-import events --follow", within=90)
        source, target = demo.text.partition("cp ")[2].split()[:2]
        (Path(target) / "newsletter.csv").write_text(Path(source).read_text() + "late@example.com\n")
        demo.await_text("301 rows")
        demo.parts()
        demo.process.send_signal(signal.SIGINT)

        assert demo.process.wait(60) == 130
    demo.await_silence()
    assert not Path(target).exists()


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)])
def test_however_it_is_ended_no_process_stays_behind(tmp_path: Path, sign: signal.Signals, code: int) -> None:
    with running(tmp_path) as demo:
        demo.await_parts()
        demo.process.send_signal(sign)

        assert demo.process.wait(60) == code, demo.text
    demo.await_silence()


@pytest.mark.nightly
def test_a_redis_of_the_users_own_is_left_as_it_was(tmp_path: Path, own_valkey: Valkey) -> None:
    with running(tmp_path, SFMC_REDIS_URL=own_valkey.tcp_url) as demo:
        assert demo.process.wait(90) == 0, demo.text

    assert keys_in(own_valkey) == []


def test_a_redis_that_is_not_empty_is_not_touched(tmp_path: Path, own_valkey: Valkey) -> None:
    with redis_py.Redis.from_url(own_valkey.url) as client:
        client.set("mine", 1)

    with running(tmp_path, SFMC_REDIS_URL=own_valkey.url) as demo:
        assert demo.process.wait(60) == 1

    assert "wants an empty Redis" in demo.text
    assert "Traceback" not in demo.text
    assert keys_in(own_valkey) == [b"mine"]


def keys_in(server: Valkey) -> list[bytes]:
    with redis_py.Redis.from_url(server.url) as client:
        return list(client.scan_iter())


@pytest.mark.nightly
def test_on_a_terminal_the_table_is_shown_too(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(DEMO, stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | {"TERM": "xterm"}) as demo:
        os.close(theirs)
        shown = read_to_the_end(ours)
        assert demo.wait(60) == 0, shown.decode(errors="replace")

    assert b"\x1b[" in shown
    assert b"none twice" in shown


def read_to_the_end(terminal: int) -> bytes:
    shown = bytearray()
    try:
        while piece := os.read(terminal, 65536):
            shown += piece
    except OSError:  # Linux ends a terminal whose last writer has gone with EIO
        pass
    os.close(terminal)
    return bytes(shown)

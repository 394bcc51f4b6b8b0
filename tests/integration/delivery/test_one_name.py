"""Several files with one name at a target: each request finds its own file there, and no file is sent twice."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sfmc_import.client import Client
from sfmc_import.ledger.schema import SEEN
from sfmc_import.request import FileInfo
from sfmc_producers.delivery.content import LocalFile
from sfmc_producers.delivery.job import Job, deliver
from sfmc_producers.delivery.records import Held
from sfmc_producers.stability import FileStat
from tests.integration.crash_points.crash_points import DiedError, Fate, Mortal
from tests.integration.delivery.world import KEYS, World
from tests.support.waiting import eventually

NAMES = ("f1", "f2", "f3")


class Arriving:
    """Files of one route with `deliver_as`; `imported` are the requests with the file that lay there at their start."""

    def __init__(self, world: World, client: Client, folder: Path) -> None:
        self.world, self._client, self._folder = world, client, folder
        self.imported: list[tuple[str, str]] = []
        self.uploads = 0
        for name in NAMES:
            (folder / name).write_text(f"the rows of {name}\n")

    def job(self, name: str) -> Job[str]:
        seen = (self._folder / name).stat()
        stat = FileStat(name, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
        content = partial(self._open, LocalFile, self._folder / name, stat)
        place, lane = "sftp://there/Import", ("1", "orders")
        submit, known = partial(self._submit, name), partial(self._known, name)
        return Job(f"r-{name}", name, "orders.csv", place, lane, content, submit, known=known)

    def deliver(self, name: str) -> str | Held | None:
        return self.world.deliver(self.job(name))

    def end(self, name: str) -> None:
        """Its import begins and ends."""
        there = self.world.place / "orders.csv"
        self.imported.append((name, there.read_text().split()[-1]))
        self.world.client.hset(KEYS.request(f"r-{name}"), "state", "completed")

    def lies_there(self) -> str:
        return (self.world.place / "orders.csv").read_text().split()[-1]

    def _open(self, kind: Any, *given: Any) -> Any:
        self.uploads += 1
        return kind(*given)

    def _given(self, name: str) -> Any:
        return {"request_id": f"r-{name}", "customer_key": "orders", "file": f"/in/{name}", "source": "test"}

    def _submit(self, name: str) -> str:
        self._client.submit(**self._given(name))
        return name

    def _known(self, name: str) -> str | None:
        return None if self._client.state_of(self._given(name)) is None else name


@pytest.fixture
def arriving(world, redis_server, tmp_path):
    with Client(redis_server.url, mid="42") as client:
        yield Arriving(world, client, tmp_path)


def test_an_imported_file_is_not_sent_again_and_the_newest_stays_at_the_target(arriving) -> None:
    for name in NAMES:
        assert arriving.deliver(name) == name
        arriving.end(name)
    for name in NAMES:
        assert arriving.deliver(name) == name
    assert (arriving.lies_there(), arriving.uploads) == ("f3", 3)
    assert arriving.imported == [(name, name) for name in NAMES]


def test_what_was_taken_up_before_another_program_delivered_it_is_not_sent_after_a_newer_file(arriving) -> None:
    old = arriving.job("f1")
    for name in ("f1", "f2"):
        arriving.deliver(name)
        arriving.end(name)
    assert arriving.world.deliver(old) == "f1"
    assert (arriving.lies_there(), arriving.uploads) == ("f2", 2)


@pytest.mark.parametrize("state", ["accepted", "deferred", "starting", "retrying", "reconciling", "started"])
def test_no_file_takes_the_name_before_the_run_of_the_one_there_has_ended(arriving, state) -> None:
    arriving.deliver("f1")
    arriving.world.client.hset(KEYS.request("r-f1"), "state", state)
    found = arriving.deliver("f2")
    assert isinstance(found, Held)
    assert f"r-f1 ({state})" in found.text
    arriving.end("f1")
    assert arriving.deliver("f2") == "f2"
    assert arriving.imported == [("f1", "f1")]


def _ends_as(arriving: Arriving, state: str, seconds_ago: float) -> None:
    """Its state is noted with the time since which it has it."""
    arriving.deliver("f1")
    now = arriving.world.client.time()[0]
    fields = {"state": state, "since": int((now - seconds_ago) * 1000)}
    arriving.world.client.hset(KEYS.request("r-f1"), mapping=fields)


WAYS = [("start_unknown", "resolve it"), ("follow_timed_out", "follow or settle it")]


@pytest.mark.parametrize(("state", "way"), WAYS)
def test_no_file_takes_the_name_while_the_import_of_the_one_there_may_still_run(arriving, state, way) -> None:
    _ends_as(arriving, state, 60)
    found = arriving.deliver("f2")
    assert is_held(found, f"the import of request r-f1 ({state}) may still read the file that lies there: {way}")
    assert arriving.lies_there() == "f1"
    arriving.end("f1")
    assert arriving.deliver("f2") == "f2"


@pytest.mark.parametrize("state", ["start_unknown", "follow_timed_out"])
def test_an_end_without_a_known_end_of_the_run_does_not_hold_the_name_for_ever(arriving, state) -> None:
    _ends_as(arriving, state, 24 * 3600 + 60)
    assert arriving.deliver("f2") == "f2"


@pytest.mark.parametrize("field", ["settler", "settled"])
def test_what_is_settled_does_not_hold_the_name(arriving, field) -> None:
    _ends_as(arriving, "follow_timed_out", 60)
    arriving.world.client.hset(KEYS.request("r-f1"), field, "ann")
    assert arriving.deliver("f2") == "f2"


def test_a_request_of_which_an_operator_says_that_nothing_was_started_does_not_hold_the_name(arriving) -> None:
    _ends_as(arriving, "not_started", 60)
    assert arriving.deliver("f2") == "f2"


def test_no_file_takes_the_name_while_an_operator_has_the_one_there_imported_again(arriving) -> None:
    world = arriving.world
    arriving.deliver("f1")
    arriving.end("f1")
    arriving._client.submit(**(arriving._given("f1") | {"request_id": "again"}))
    fingerprint = FileInfo(location="/in", name="f1").fingerprint
    world.client.set(KEYS.name_of(SEEN, "42", "orders", fingerprint), "again", ex=60)
    found = arriving.deliver("f2")
    assert found == Held("request again (accepted) needs the file that lies there")
    world.client.hset(KEYS.request("again"), "state", "completed")
    assert arriving.deliver("f2") == "f2"


def test_files_that_wait_for_one_name_are_delivered_in_their_order_whichever_is_asked_for_first(arriving) -> None:
    jobs = {name: arriving.job(name) for name in NAMES}
    with arriving.world.target() as target:
        eventually(lambda: target.take(jobs["f1"]) == "f1", 30, "the first is delivered")
        for name in ("f2", "f3"):
            eventually(lambda name=name: is_held(target.take(jobs[name]), "r-f1 (accepted) needs"), 30, "it waits")
        arriving.end("f1")
        eventually(lambda: is_held(target.take(jobs["f3"]), "r-f2 comes first"), 30, "the younger one waits")
        eventually(lambda: target.take(jobs["f2"]) == "f2", 30, "the older one is delivered")
        eventually(lambda: is_held(target.take(jobs["f3"]), "r-f2 (accepted) needs"), 30, "the younger one waits")
        arriving.end("f2")
        eventually(lambda: target.take(jobs["f3"]) == "f3", 30, "the younger one is delivered")


def is_held(answer: Any, text: str) -> bool:
    return isinstance(answer, Held) and text in answer.text


@pytest.mark.parametrize("kind", ["die_before", "die_after"])
@pytest.mark.parametrize("point", range(1, 6))
@pytest.mark.parametrize("victim", ["f1", "f2"])
def test_whoever_dies_at_whichever_step_each_request_finds_its_own_file(arriving, kind, point, victim) -> None:
    world, fate = arriving.world, Fate(kind, point)
    for name in NAMES:
        if name == victim:
            _deliver_until_death(arriving, victim, fate)
            world.let_leases_end()
            # The next program begins at the newest file, another at the oldest.
            answer = arriving.deliver("f3")
            if answer == "f3":
                arriving.end("f3")
        assert arriving.deliver(name) == name
        if (name, name) not in arriving.imported:
            arriving.end(name)
    assert sorted(arriving.imported) == [(name, name) for name in NAMES]
    before = (arriving.lies_there(), arriving.uploads)
    assert [arriving.deliver(name) for name in NAMES] == list(NAMES)
    assert (arriving.lies_there(), arriving.uploads) == before
    assert world.names == ["orders.csv"]


def _deliver_until_death(arriving: Arriving, name: str, fate: Fate) -> None:
    mortal: Any = Mortal(arriving.world.session(), fate, ledger=False)
    job = arriving.job(name)
    submit = job.submit
    dying = Job(
        job.request_id, job.fingerprint, job.name, job.place, job.lane, job.open_content,
        lambda: fate.meet(submit, ledger=False), known=job.known,
    )  # fmt: skip
    try:
        mortal.connect()
        deliver(dying, arriving.world.records, lambda: mortal)
    except DiedError:
        pass
    finally:
        mortal._port.close()

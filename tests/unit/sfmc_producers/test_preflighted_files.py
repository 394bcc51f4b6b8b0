"""The preflight of a route where files are submitted: in a folder, and in a source."""

import io
import os
from dataclasses import replace

import pytest

from sfmc_import.file_format import Column, FileDescription, FileFormat, Preflight
from sfmc_import.request import FileInfo
from sfmc_import.settings import Route
from sfmc_producers.checked_files import open_regular
from sfmc_producers.removing import After
from sfmc_producers.sources.arrivals import Arrival
from sfmc_producers.sources.intake import Intake
from sfmc_producers.submitter import RoutingRules, Submitter
from tests.support.fake_client import FakeClient
from tests.support.watched_folder import NOON, Watched

INFER = FileFormat(file_type="CSV", header_lines=1, mapping="InferFromColumnHeadings", is_quoted=True)
NUMBERS = FileDescription(INFER, (Column(name="id", type="Number", is_primary_key=True),))


@pytest.fixture
def client() -> FakeClient:
    return FakeClient(descriptions={"k": NUMBERS}, routes=[Route(pattern="*", customer_key="k", preflight=Preflight())])


def policy(client: FakeClient, **changes: object) -> None:
    client.routes = [replace(client.routes[0], preflight=Preflight(**changes))]  # type: ignore[arg-type]


def test_a_sound_file_is_submitted_and_a_wrong_one_ends_as_a_rejected_request(tmp_path, client):
    watched = Watched(tmp_path, client)
    watched.put("good.csv", "id\n1\n")
    watched.put("bad.csv", "id\n1\nx\n")
    events = watched.pass_time(2, 2)

    assert client.started == [("good.csv", "k")]
    assert list(client.rejected.values()) == [("bad.csv", "k", "preflight", "line 3, column id: no whole number")]
    assert events.count("preflight_failed") == 1
    watched.restart()
    watched.pass_time(2, 2)
    assert len(client.rejected) == 1


@pytest.mark.parametrize("text", ["id\nx\n", "id\n"])
def test_a_file_that_starts_nothing_stays_where_accepted_ones_are_deleted(tmp_path, client, text):
    policy(client, empty="skip")
    watched = Watched(tmp_path, client, after=After("delete"))
    watched.put("nothing.csv", text)
    watched.put("good.csv", "id\n1\n")
    watched.pass_time(2, 2, 2, 2)

    assert client.started == [("good.csv", "k")]
    assert [file.name for file in tmp_path.iterdir()] == ["nothing.csv"]


def test_a_corrected_file_is_another_request(tmp_path, client):
    watched = Watched(tmp_path, client)
    watched.put("a.csv", "id\nx\n")
    watched.pass_time(2)
    watched.put("a.csv", "id\n12\n")
    watched.pass_time(2, 2)

    assert (len(client.rejected), client.started) == (1, [("a.csv", "k")])


def test_a_file_that_was_accepted_before_stays_what_it_is(tmp_path, client):
    watched = Watched(tmp_path, client)
    watched.put("a.csv", "id\n1\n")
    watched.pass_time(2)
    client.descriptions["k"] = replace(NUMBERS, columns=(Column(name="other", is_required=True),))
    watched.restart()

    assert "file_known" in watched.pass_time(2, 2)
    assert client.rejected == {}


@pytest.mark.parametrize(
    ("empty", "started", "rejected", "event"),
    [("fail", 0, 1, "preflight_failed"), ("skip", 0, 0, "file_empty_skipped"), ("run", 1, 0, "file_submitted")],
)
def test_a_file_without_rows_is_treated_as_the_route_says(tmp_path, client, empty, started, rejected, event):
    policy(client, empty=empty)
    watched = Watched(tmp_path, client)
    watched.put("a.csv", "id\n")

    assert watched.pass_time(2, 2).count(event) == 1
    assert (len(client.started), len(client.rejected)) == (started, rejected)


@pytest.mark.parametrize("part", ["cloud_is_down", "ledger_is_down"])
def test_while_a_backend_is_away_the_file_waits(tmp_path, client, part):
    watched = Watched(tmp_path, client)
    watched.put("a.csv", "id\nx\n")
    setattr(client, part, True)
    watched.pass_time(2, 2)
    assert (client.started, client.rejected) == ([], {})
    assert watched.waiting["a.csv"][0] == "unavailable"
    setattr(client, part, False)
    watched.pass_time(600, 600)

    assert len(client.rejected) == 1


def test_a_definition_that_is_not_there_is_left_to_the_start(tmp_path, client):
    client.descriptions.clear()
    watched = Watched(tmp_path, client)
    watched.put("a.csv", "what,ever\n")
    watched.pass_time(2)

    assert client.started == [("a.csv", "k")]


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(OSError, match="not a regular file"):
        open_regular(tmp_path / "pipe")


def take(client: FakeClient, content: bytes | None) -> object:
    rules = RoutingRules(definitions=client, routes=client.routes)  # type: ignore[arg-type]
    intake = Intake("s", Submitter(client, rules, lambda: 0.0, lambda: NOON))  # type: ignore[arg-type]
    opened = None if content is None else lambda: io.BytesIO(content)
    return intake.take(Arrival(file=FileInfo(location="/in", name="a.csv", version="1"), open_content=opened))


@pytest.mark.parametrize(
    ("content", "started", "rejected"), [(b"id\n1\n", 1, 0), (b"id\nx\n", 0, 1), (b"id\n", 0, 1), (None, 1, 0)]
)
def test_a_source_lets_go_of_what_the_ledger_has_and_checks_what_it_can_open(client, content, started, rejected):
    assert take(client, content) is True
    assert (len(client.started), len(client.rejected)) == (started, rejected)


def test_a_rejected_file_whose_id_another_request_took_is_recorded_under_another_one(client):
    take(client, b"id\nx\n")
    [usual] = client.rejected
    client.rejected.clear()
    client.submit(request_id=usual, file=FileInfo(location="/in", name="b.csv"), customer_key="k", mid=client.mid)

    assert [take(client, b"id\nx\n") for _ in "12"] == [True, True]
    assert list(client.rejected) == [f"own:{usual}"]


def test_content_that_cannot_be_read_now_is_asked_for_again(client):
    def fail() -> io.BytesIO:
        raise OSError(5, "Input/output error")

    rules = RoutingRules(definitions=client, routes=client.routes)
    intake = Intake("s", Submitter(client, rules, lambda: 0.0, lambda: NOON))
    arrival = Arrival(file=FileInfo(location="/in", name="a.csv", version="1"), open_content=fail)

    assert intake.take(arrival) is False
    assert intake.submitter.next_in is None

import contextlib
import os
from pathlib import Path

import pytest

from sfmc_import.routing import BadRouteError, Route
from sfmc_producers.listing import why_never_watched
from sfmc_producers.stability import StabilityRule
from tests.support.fake_client import FakeClient
from tests.support.watched_folder import Watched


def test_a_file_that_settles_starts_the_definition_that_names_it_once(watched, client):
    watched.put("contacts.csv")

    assert watched.pass_time(1, 1, 5, 60) == ["file_submitted"]
    [request] = client.requests.values()
    assert (request.customer_key, request.mid, request.file.name) == ("contacts", client.mid, "contacts.csv")
    assert (request.file.location, request.file.size) == (str(watched.path), 5)
    assert request.source == f"folder:{watched.path}"


def test_the_priority_of_its_route_goes_with_the_request(watched, client):
    client.routes = [Route(pattern="contacts.csv", customer_key="contacts", priority=7)]
    watched.restart()
    watched.put("contacts.csv")
    watched.put("orders.csv")
    watched.pass_time(2)

    assert sorted(client.priorities.values(), key=str) == [7, None]


def test_a_file_whose_id_another_request_took_is_submitted_under_a_new_one(watched, client):
    watched.put("contacts.csv")
    watched.pass_time(2)
    (usual, announced) = client.requests.popitem()
    client.submit(request_id=usual, file=announced.file, customer_key="orders", mid=client.mid)
    watched.restart()

    assert watched.pass_time(2, 60) == ["file_id_taken", "file_submitted"]
    (taken, own) = client.requests.values()
    assert (taken.request_id, taken.customer_key) == (usual, "orders")
    assert (own.request_id, own.customer_key, own.file) == (f"own:{usual}", "contacts", announced.file)
    watched.restart()
    assert (watched.pass_time(2, 60), len(client.requests)) == (["file_id_taken", "file_known"], 2)


def test_files_present_before_the_start_are_announced(watched, client):
    watched.put("contacts.csv")
    watched.put("orders.csv")
    watched.pass_time(2)

    assert sorted(client.started) == [("contacts.csv", "contacts"), ("orders.csv", "orders")]


def test_files_are_announced_in_the_order_of_their_time_stamps(watched, client):
    for age, name in ((1, "orders.csv"), (2, "contacts.csv")):
        watched.put(name)
        os.utime(watched.path / name, ns=(0, 10**18 - age))
    watched.pass_time(2)

    assert [name for name, _ in client.started] == ["contacts.csv", "orders.csv"]


def test_a_file_that_grows_waits_until_it_stays_the_same(watched, client):
    watched.put("contacts.csv", "id\n")
    watched.pass_time(1)
    watched.put("contacts.csv", "id\n1\n")
    watched.pass_time(1.5)

    assert client.requests == {}
    assert watched.pass_time(0.6) == ["file_submitted"]


def test_a_changed_file_is_announced_again_as_another_request(watched, client):
    watched.put("contacts.csv")
    watched.pass_time(2)
    watched.put("contacts.csv", "id\n1\n2\n")

    assert watched.pass_time(2) == ["file_submitted"]
    assert len(client.requests) == 2


def test_after_a_restart_the_same_file_has_the_same_request_so_the_ledger_knows_it(watched, client):
    watched.put("contacts.csv")
    watched.pass_time(2)
    watched.restart()

    assert watched.pass_time(2, 2) == ["file_known"]
    assert len(client.requests) == 1


def test_the_same_folder_under_two_paths_gives_the_same_requests_when_both_use_one_location(tmp_path, client):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        watched = Watched(tmp_path / name, client, location="drop")
        watched.put("contacts.csv")
        os.utime(tmp_path / name / "contacts.csv", ns=(0, 10**18))
        watched.pass_time(2)

    assert len(client.requests) == 1


def test_while_redis_is_away_the_file_is_kept_and_the_outage_is_reported_once(watched, client):
    client.ledger_is_down = True
    watched.put("contacts.csv")
    watched.put("orders.csv")

    assert watched.pass_time(2, *[1] * 60) == ["backend_unavailable"]
    assert 5 < client.calls < 20
    client.ledger_is_down = False
    assert watched.pass_time(10) == ["backend_available", "file_submitted", "file_submitted"]


def test_a_file_counts_as_announced_only_after_the_ledger_took_it(watched, client):
    client.ledger_is_down = True
    watched.put("contacts.csv")
    watched.pass_time(2)
    client.ledger_is_down = False
    watched.pass_time(1)

    assert client.started == [("contacts.csv", "contacts")]


def test_while_definitions_cannot_be_read_files_with_a_route_or_a_key_still_go(tmp_path, client):
    client.cloud_is_down = True
    client.routes = [Route(pattern="orders*", customer_key="by-route")]
    watched = Watched(tmp_path, client)
    watched.put("contacts.csv")
    watched.put("orders.csv")

    assert watched.pass_time(2, 1, 1) == ["backend_unavailable", "file_submitted"]
    client.cloud_is_down = False
    watched.pass_time(10)
    assert client.started == [("orders.csv", "by-route"), ("contacts.csv", "contacts")]


def test_a_folder_with_a_key_routes_nothing(tmp_path, client):
    watched = Watched(tmp_path, client, key="fixed", mid="7")
    watched.put("contacts.csv")
    watched.pass_time(2)

    assert [(each.customer_key, each.mid) for each in client.requests.values()] == [("fixed", "7")]


def test_a_file_that_nothing_names_is_reported_once_and_announced_when_a_definition_appears(watched, client):
    watched.put("new.csv")

    assert watched.pass_time(2, 5, 5) == ["file_not_routed"]
    assert [(name, file.name, detail["reason"]) for name, file, detail in client.reported] == [
        ("unrouted", "new.csv", "no_match")
    ]
    client.define("new", "new.csv")
    assert watched.pass_time(5) == ["file_submitted"]


def test_a_report_that_redis_did_not_take_is_made_again(watched, client):
    client.ledger_is_down = True
    watched.put("new.csv")
    watched.pass_time(2)
    client.ledger_is_down = False
    watched.pass_time(5)

    assert [name for name, _, _ in client.reported] == ["unrouted"]


def test_a_file_that_two_definitions_read_is_reported_with_both_keys_and_starts_neither(watched, client):
    client.define("orders-too", "orders.csv")
    watched.put("orders.csv")
    watched.pass_time(2, 5)

    assert [(name, detail["customer_keys"]) for name, _, detail in client.reported] == [
        ("ambiguous_route", ["orders", "orders-too"])
    ]
    assert client.requests == {}


def test_the_date_of_a_file_is_that_of_the_account_and_a_file_for_tomorrow_goes_when_its_day_comes(watched, client):
    client.time_zone = "Pacific/Kiritimati"  # fourteen hours ahead of UTC: there it is already the 8th
    watched.restart()
    client.define("daily", "d%%YEAR%%%%MONTH%%%%DAY%%.csv")
    watched.put("d20260308.csv")
    watched.put("d20260309.csv")
    watched.pass_time(2)

    assert client.started == [("d20260308.csv", "daily")]
    assert [detail["reason"] for _, _, detail in client.reported] == ["date_differs"]
    watched.pass_time(24 * 3600)
    assert client.started == [("d20260308.csv", "daily"), ("d20260309.csv", "daily")]


@pytest.mark.parametrize("redis_ahead", [-180.0, -40.0, 40.0, 180.0])
def test_near_midnight_a_file_of_either_day_is_requested_at_once_wherever_the_clock_of_redis_stands(
    watched, client, redis_ahead
):
    client.time_zone = "Etc/GMT-12"  # midnight is when the clock of the test begins
    watched.margin, watched.redis_ahead = 60.0, redis_ahead
    watched.restart()
    client.define("daily", "d%%YEAR%%%%MONTH%%%%DAY%%.csv")
    names = [f"d2026030{day}.csv" for day in (6, 7, 8, 9)]
    for name in names:
        watched.put(name)
    watched.pass_time(2)

    assert sorted(client.started) == [(name, "daily") for name in names[1:3]]
    assert [detail["reason"] for _, _, detail in client.reported] == ["date_differs", "date_differs"]


def test_a_route_that_leads_to_an_impossible_key_is_refused_once_and_other_files_go_on(tmp_path, client):
    client.routes = [Route(pattern="long_*.csv", customer_key="k{1}")]
    watched = Watched(tmp_path, client)
    watched.put(f"long_{'x' * 40}.csv")
    watched.put("orders.csv")

    assert sorted(watched.pass_time(2, 5, 5)) == ["file_rejected", "file_submitted"]
    assert client.started == [("orders.csv", "orders")]


def test_a_route_that_can_never_work_stops_the_watcher_at_its_start(tmp_path, client):
    client.routes = [Route(pattern="re:(", customer_key="k")]

    with pytest.raises(BadRouteError):
        Watched(tmp_path, client)


def test_a_file_that_vanishes_before_it_is_stable_is_reported_and_nothing_starts(watched, client):
    watched.put("contacts.csv")
    watched.pass_time(1)
    (watched.path / "contacts.csv").unlink()

    assert watched.pass_time(1) == ["file_gone"]
    assert (watched.logs[0]["file"], watched.logs[0]["was_submitted"]) == ("contacts.csv", False)
    assert client.requests == {}


class ThievingClient(FakeClient):
    """While it is asked for definitions, the file goes or changes."""

    def all_of(self, mid, **more):
        self.steal()
        return super().all_of(mid, **more)


@pytest.mark.parametrize(
    ("steal", "reported"),
    [(lambda file: file.unlink(), ["file_gone_before_submit"]), (lambda file: file.write_text("longer"), [])],
)
def test_a_file_that_goes_or_changes_between_look_and_submit_is_not_announced(tmp_path, steal, reported):
    client = ThievingClient()
    client.define("contacts", "contacts.csv")
    watched = Watched(tmp_path, client)
    watched.put("contacts.csv", "short")
    client.steal = lambda: steal(tmp_path / "contacts.csv")

    assert watched.pass_time(2) == reported
    assert client.requests == {}


def test_a_folder_that_becomes_unreadable_is_reported_once_and_watched_on_when_it_returns(watched, client):
    watched.pass_time()
    watched.path.rename(watched.path.with_name("away"))

    assert watched.pass_time(5, 5) == ["folder_unreadable"]
    watched.path.with_name("away").rename(watched.path)
    watched.put("contacts.csv")
    assert watched.pass_time(2) == ["folder_readable_again", "file_submitted"]


def test_temporary_and_unwanted_names_and_other_kinds_of_files_are_never_announced(tmp_path, client):
    watched = Watched(tmp_path, client, pattern="*.csv", key="any")
    for name in ("a.csv.part", "a.tmp", ".a.csv", "a.txt", "sub/a.csv"):
        watched.put(name)
    (tmp_path / "dangling.txt").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.txt")

    assert watched.pass_time(2, 5) == []


def test_with_recursion_files_of_subfolders_have_the_subfolder_as_their_location(tmp_path, client):
    watched = Watched(tmp_path, client, recursive=True)
    watched.put("eu/contacts.csv")
    (tmp_path / "loop").symlink_to(tmp_path)
    watched.pass_time(2)

    assert [each.file.location for each in client.requests.values()] == [f"{tmp_path}/eu"]


def test_a_link_to_a_file_counts_as_that_file_under_the_name_of_the_link(tmp_path, client):
    (tmp_path / "in").mkdir()
    watched = Watched(tmp_path / "in", client)
    (tmp_path / "elsewhere").write_text("12345678")
    (tmp_path / "in" / "contacts.csv").symlink_to(tmp_path / "elsewhere")
    watched.pass_time(2)

    assert [(each.file.name, each.file.size) for each in client.requests.values()] == [("contacts.csv", 8)]


def test_a_marker_lets_its_file_go_also_where_a_pattern_hides_the_marker(tmp_path, client):
    watched = Watched(tmp_path, client, pattern="*.csv", rule=StabilityRule(seconds=2.0, marker=".done"))
    watched.put("contacts.csv")
    assert watched.pass_time(2, 5) == []
    watched.put("contacts.csv.done", "")

    assert watched.pass_time(0) == ["file_submitted"]


def test_an_empty_file_is_passed_over_with_one_warning(watched, client):
    watched.put("contacts.csv", "")

    assert watched.pass_time(2, 5, 5) == ["file_empty_skipped"]
    watched.put("contacts.csv", "id\n")
    assert watched.pass_time(2) == ["file_submitted"]


def test_a_name_that_is_no_text_is_reported_once_and_stops_nothing(watched, client):
    Path(os.fsdecode(os.fsencode(watched.path) + b"/bad\xff.csv")).touch()
    watched.put("contacts.csv")

    assert sorted(watched.pass_time(2, 5)) == ["file_name_undecodable", "file_submitted"]


def test_a_subfolder_that_cannot_be_listed_is_reported_once_and_stops_nothing(tmp_path, client):
    watched = Watched(tmp_path, client, recursive=True)
    watched.put("contacts.csv")
    (tmp_path / "shut").mkdir()
    fill_with_paths_too_long_to_list(tmp_path / "shut")

    assert sorted(watched.pass_time(2, 5)) == ["entry_unreadable", "file_submitted"]


def fill_with_paths_too_long_to_list(folder):
    """Unreadable for every user, also for one whom no file mode stops."""
    with contextlib.chdir(folder):
        for _ in range(20):
            Path("d" * 250).mkdir()
            os.chdir("d" * 250)


def test_what_can_never_be_watched_is_said_with_the_reason_and_a_folder_may_come_later(tmp_path):
    (tmp_path / "file").write_text("")

    assert [why_never_watched(each) for each in (tmp_path, tmp_path / "missing")] == [None, None]
    assert "Not a directory" in (why_never_watched(tmp_path / "file") or "")
    assert "File name too long" in (why_never_watched(tmp_path / ("d" * 300)) or "")


@pytest.mark.parametrize("name", ["a b.csv", "ü.csv", "two\nlines.csv", "-rf", "$(x).csv", "%2e%2e.csv", "😀.csv"])
def test_an_odd_name_is_data_and_arrives_as_it_is(watched, client, name):
    client.define("odd", name)
    watched.put(name)
    watched.pass_time(2)
    assert client.started == [(name, "odd")]

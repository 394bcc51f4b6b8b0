"""The folder watcher as a real process beside a real Valkey; the workers that act on its requests are not needed."""

import json
import signal
from collections import Counter

import pytest

from sfmc_local.redis_server import Valkey
from tests.support.producer_processes import MID, Place
from tests.support.waiting import eventually


@pytest.fixture
def place(tmp_path, redis_server):
    return Place(tmp_path, redis_server)


def stream(redis):
    return [json.loads(fields["event"]) for _, fields in redis.xrange("sfmc-import:events")]


def kinds(redis):
    return Counter(event["type"].rpartition(".")[2] for event in stream(redis))


def test_files_of_before_and_after_the_start_are_recorded_and_sigterm_ends_the_watcher_in_order(place, redis):
    place.put("before.csv")
    with place.watcher("--key", "contacts") as watcher:
        watcher.await_event("file_submitted")
        place.put("after.csv")
        watcher.await_event("file_submitted", 2)
        watcher.process.send_signal(signal.SIGTERM)

        assert watcher.process.wait(60) == 0
        assert watcher.events()[-1] == "watch_ended"
    accepted = [event["data"] for event in stream(redis)]
    assert [(data["customer_key"], data["mid"], data["file"]["name"]) for data in accepted] == [
        ("contacts", MID, "before.csv"),
        ("contacts", MID, "after.csv"),
    ]
    assert redis.llen("imports") == 2


def test_ctrl_c_ends_the_watcher_in_order(place, redis):
    with place.watcher("--key", "contacts") as watcher:
        watcher.await_event("watch_started")
        watcher.process.send_signal(signal.SIGINT)

        assert watcher.process.wait(60) == 130


def test_two_watchers_on_one_folder_and_a_restart_announce_each_file_once(place, redis):
    with place.watcher("--key", "contacts") as first, place.watcher("--key", "contacts") as second:
        first.await_event("watch_started")
        second.await_event("watch_started")
        for number in range(20):
            place.put(f"{number}.csv")
        for watcher in (first, second):
            eventually(
                lambda each=watcher: each.events().count("file_submitted") + each.events().count("file_known") == 20,
                60,
                "both watchers have seen all files",
            )
    with place.watcher("--key", "contacts") as third:
        third.await_event("file_known", 20)

    assert kinds(redis) == {"accepted": 20}
    assert redis.llen("imports") == 20


def test_a_route_of_the_policy_file_decides_and_a_file_without_one_waits_while_marketing_cloud_is_away(place, redis):
    config = place.logs / "policy.toml"
    config.write_text('[[route]]\npattern = "orders_*.csv"\ncustomer_key = "orders-{1}"\n')
    place.env["SFMC_CONFIG"] = str(config)
    place.put("orders_eu.csv")
    place.put("stranger.csv")
    with place.watcher() as watcher:
        watcher.await_event("file_submitted")
        closed = watcher.await_event("backend_unavailable")

        assert MID in closed["reason"]
    assert [event["subject"] for event in stream(redis)] == ["orders-eu"]


def test_options_of_a_folder_win_over_those_of_the_command(place, redis):
    other = place.logs / "other"
    other.mkdir()
    place.put("a.csv")
    (other / "b.csv").write_text("id\n")
    dirs = [str(place.folder), f"{other},key=theirs,mid=7,location=drop"]
    with place.watcher("--key", "ours", dirs=dirs) as watcher:
        watcher.await_event("file_submitted", 2)

    data = {event["data"]["file"]["name"]: event["data"] for event in stream(redis)}
    assert (data["a.csv"]["customer_key"], data["a.csv"]["mid"]) == ("ours", MID)
    assert (data["b.csv"]["customer_key"], data["b.csv"]["mid"]) == ("theirs", "7")
    assert data["b.csv"]["file"]["location"] == "drop"


def test_redis_may_be_away_at_the_start_and_again_later_and_costs_one_line_and_no_file(tmp_path, own_valkey):
    own_valkey.kill()
    place = Place(tmp_path, own_valkey)
    place.put("first.csv")
    with place.watcher("--key", "contacts") as watcher:
        watcher.await_event("backend_unavailable", within=60)
        own_valkey.restart()
        watcher.await_event("file_submitted", within=60)
        own_valkey.kill()
        place.put("second.csv")
        watcher.await_event("backend_unavailable", 2, within=60)
        own_valkey.restart()
        watcher.await_event("file_submitted", 2, within=60)

        assert Counter(watcher.events())["backend_unavailable"] == 2
        assert "a-secret-of-this-test" not in json.dumps(watcher.lines())


def test_a_folder_that_goes_and_returns_is_watched_on(place, redis):
    with place.watcher("--key", "contacts") as watcher:
        watcher.await_event("watch_started")
        place.folder.rename(place.logs / "away")
        watcher.await_event("folder_unreadable")
        place.folder.mkdir()
        place.put("a.csv")
        watcher.await_event("file_submitted")


def test_a_folder_that_is_not_there_when_its_watcher_starts_is_an_alarm_until_it_comes(place, redis):
    place.folder.rename(place.logs / "away")
    with place.watcher("--key", "contacts") as watcher:
        watcher.await_event("folder_unreadable")
        eventually(lambda: "CANNOT BE READ" in place.run("status").stdout, 30, "it is an alarm")
        (place.logs / "away").rename(place.folder)
        place.put("a.csv")
        watcher.await_event("file_submitted")


@pytest.mark.parametrize(
    ("command", "env", "complaint"),
    [
        (["watch", "/etc/passwd"], {}, "folder /etc/passwd cannot be read: Not a directory"),
        (["watch", "/"], {"SFMC_ACCOUNT_ID": ""}, "no business unit; set SFMC_ACCOUNT_ID or give --mid MID"),
        (["watch", "/", "--stable-seconds", "nan"], {}, "'nan' is no time"),
        (["watch", "/"], {"SFMC_REDIS_URL": "ftp://x"}, "SFMC_REDIS_URL"),
        (["start", "k", "--force"], {}, "--force needs --reason"),
        *(
            pytest.param(*case, marks=pytest.mark.nightly)
            for case in (
                (["watch", "/", "/"], {}, "location / is given for two folders"),
                (["watch", "/", "--mid", "north"], {}, "mid must be the number of a business unit"),
                (["watch", "/,key=" + "k" * 37], {}, "customer_key has 37 characters"),
                (["watch", "/", "--stable-seconds", "soon"], {}, "'soon' is not a valid float"),
                (["watch", "/", "--rescan", "inf"], {}, "'inf' is no time"),
                (["start", "k", "--file", "/dev/zero"], {}, "file /dev/zero cannot be read: it is no regular file"),
                (["start", "k", "--file", "/"], {}, "file / cannot be read: it is no regular file"),
                (["watch"], {}, "Missing argument 'DIR"),
                (["start", "k" * 37], {}, "customer_key has 37 characters"),
                (["start", ""], {}, "no ImportDefinition: give its external key"),
                (
                    ["start", "k", "--file", "/no/such.csv"],
                    {},
                    "file /no/such.csv cannot be read: No such file or directory",
                ),
                (["start", "k"], {"SFMC_REDIS_URL": "ftp://x", "SFMC_ACCOUNT_ID": "north"}, "SFMC_ACCOUNT_ID"),
            )
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_used_is_said_in_clear_lines_with_exit_code_2(place, redis, command, env, complaint):
    ended = place.run(*command, **env)

    assert ended.returncode == 2, ended.stderr
    assert complaint in ended.stderr
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.splitlines()) <= 3
    assert redis.keys() == []


@pytest.fixture
def stopped_valkey(tmp_path):
    with Valkey() as server:
        server.kill()
        yield server


def test_start_without_redis_ends_in_one_clear_line_and_its_fix(tmp_path, stopped_valkey):
    ended = Place(tmp_path, stopped_valkey).run("start", "contacts")

    error, advice, since = ended.stderr.splitlines()
    assert ended.returncode == 1
    assert "does not answer" in error
    assert advice == "  start it, or set SFMC_REDIS_URL"
    assert since.startswith("  since when: see the logs of workers")

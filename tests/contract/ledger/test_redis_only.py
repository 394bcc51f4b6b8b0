"""What only the real ledger can get wrong: replies, JSON, times to live, defects of scripts, servers that refuse."""

from collections.abc import Iterator
from datetime import UTC, datetime

import orjson
import pytest
import redis as redis_py

from sfmc_import.ledger import LedgerSettings, RedisLedger
from sfmc_import.ledger.arguments import policy_arguments, request_arguments
from sfmc_import.ledger.calling import is_defect
from sfmc_import.ledger.loss_keys import LOSS, SERVER
from sfmc_import.ledger.reading import LedgerReader
from sfmc_import.ledger.scripts import read_part
from sfmc_import.policy import Policy
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.runs import Definition
from tests.contract.ledger.scenario import BUSY, HOUR, KEY, MID, Scenario, file, request
from tests.support.ledger_world import RedisWorld

SETTINGS = LedgerSettings(lease=180, results_delay=60, accept_grace=5, recheck=600, first_poll=5)
DAY = 24 * HOUR


@pytest.fixture
def world(redis_server) -> Iterator[RedisWorld]:
    made = RedisWorld(redis_server.url, SETTINGS)
    yield made
    made.client.close()


@pytest.fixture
def scenario(world: RedisWorld) -> Scenario:
    return Scenario(world)


def test_a_recorded_request_is_new_again_when_only_the_reply_was_lost(world: RedisWorld):
    arguments = request_arguments(request("a", file())) | {"call": "c1"}

    assert [world.ledger._run("accept", arguments) for _ in range(2)] == [1, 1]
    assert world.ledger._run("accept", arguments | {"call": "c2"}) == 0
    assert len(world.events()) == 1


def test_numbers_of_an_event_are_exact_and_names_are_unicode(scenario: Scenario, world: RedisWorld):
    name = 'ünï "quoted" \\ \u2028 \U0001f600.csv'
    scenario.accept(request("a", file(name, size=2**63 - 1)))
    (_, fields) = world.client.xrange(world.keys.stream)[0]
    event = orjson.loads(fields[b"event"])

    assert event["data"]["file"]["size"] == 2**63 - 1
    assert event["data"]["file"]["name"] == name
    assert event["subject"] == KEY


def test_a_text_that_json_cannot_carry_is_recorded_all_the_same(scenario: Scenario):
    scenario.accept(request("a", key="bad \udc80 key"))

    assert scenario.last("a")["customer_key"] == "bad ? key"


FOLDER = {"folder": "/in", "location": "/in", "state": "watched", "files": [], "more": 0}
WAITING = {"name": "ü.csv", "reason": "growing", "age": 7.5, "size": 2**53 + 1}


def test_what_a_watcher_says_of_its_folders_is_read_with_times(world: RedisWorld):
    hanging = FOLDER | {"state": "hanging", "age": 60.0, "text": "/in/x", "files": [WAITING], "more": 3}
    world.ledger.note_folders("one", [hanging])
    world.ledger.note_folders("two", [FOLDER])

    one, two = LedgerReader(world.client, world.keys).watchers()
    now = world.now_ms() / 1000
    assert (one["watcher"], one["seen_at"]) == ("one", now)
    (folder,) = one["folders"]
    assert (folder["state"], folder["since"], folder["text"], folder["more"]) == ("hanging", now - 60, "/in/x", 3)
    assert folder["files"] == [{"name": "ü.csv", "reason": "growing", "size": 2**53 + 1, "since": now - 7.5}]
    assert two["folders"] == [FOLDER]


def test_what_a_watcher_says_replaces_what_it_said_and_goes_when_it_ends(world: RedisWorld):
    reader = LedgerReader(world.client, world.keys)
    for folders in ([FOLDER, FOLDER], [FOLDER]):
        world.ledger.note_folders("one", folders)
    assert [len(each["folders"]) for each in reader.watchers()] == [1]

    for _ in range(2):
        world.ledger.note_folders("one", None)
        assert reader.watchers() == []
    assert world.events() == []


def test_a_watcher_that_is_gone_is_forgotten_after_a_minute(world: RedisWorld):
    reader = LedgerReader(world.client, world.keys)
    world.ledger.note_folders("gone", [FOLDER])
    world.advance(59.999)
    world.ledger.note_folders("live", [FOLDER])
    assert [each["watcher"] for each in reader.watchers()] == ["gone", "live"]
    assert 59 < world.client.pttl(world.keys.watchers) / 1000 <= 60

    world.advance(0.001)
    world.ledger.note_folders("live", [FOLDER])
    assert [each["watcher"] for each in reader.watchers()] == ["live"]


DAY = 86400.0


def remembered(world: RedisWorld) -> list[tuple[str, str, str, float, bool]]:
    """Location, host, file system, seconds since it was read, whether its watcher ended; by the time of the last."""
    found = LedgerReader(world.client, world.keys).folders_seen()
    now = world.now_ms() / 1000
    return [(each.location, each.host, each.mount, round(now - each.seen_at, 3), each.has_stopped) for each in found]


def test_a_folder_is_remembered_after_its_watcher_vanished_until_two_weeks_are_over(world: RedisWorld):
    world.ledger.note_folders("host:1:abc", [FOLDER | {"mount": "ext4 - / /"}])
    world.advance(DAY)
    world.ledger.note_folders("other:1:abc", [FOLDER | {"location": "/b"}])
    assert remembered(world) == [("/in", "host", "ext4 - / /", DAY, False), ("/b", "other", "", 0.0, False)]
    assert 13.9 * DAY < world.client.pttl(world.keys.folders) / 1000 <= 14 * DAY

    world.advance(13 * DAY)
    world.ledger.note_folders("other:1:abc", [FOLDER | {"location": "/b"}])
    assert [each[0] for each in remembered(world)] == ["/b"]


def test_a_watcher_that_ends_leaves_its_folders_as_stopped_until_one_reads_them_again(world: RedisWorld):
    for folders in ([FOLDER], None):
        world.ledger.note_folders("host:1:abc", folders)
        world.advance(5)
    world.ledger.note_folders("host:1:abc", None)
    assert remembered(world) == [("/in", "host", "", 5.0, True)]

    world.ledger.note_folders("host:2:abc", [FOLDER])
    assert remembered(world) == [("/in", "host", "", 0.0, False)]


def test_of_very_many_folders_those_read_last_are_remembered_and_none_with_an_endless_name(world: RedisWorld):
    many = [FOLDER | {"location": f"/in/{number:03}"} for number in range(499)]
    world.ledger.note_folders("host:1:abc", [FOLDER | {"location": "/old"}, FOLDER | {"location": "/x" * 1100}])
    world.advance(1)
    world.ledger.note_folders("host:2:abc", many)
    assert [each[0] for each in remembered(world)][:2] == ["/old", "/in/000"]

    world.advance(1)
    world.ledger.note_folders("host:3:abc", [FOLDER | {"location": "/new"}])
    assert [remembered(world)[place][0] for place in (0, -1)] == ["/in/000", "/new"]
    assert len(remembered(world)) == 500


def test_nanoseconds_travel_as_text(scenario: Scenario):
    arrival = file()
    stamped = type(arrival)(location="/in", name="x", size=1, modified_ns=1_800_000_000_123_456_789)
    scenario.accept(request("a", stamped))

    assert scenario.last("a")["file"]["modified_ns"] == "1800000000123456789"
    assert scenario.ledger.load("a") == scenario.requests["a"]


def test_all_that_is_known_of_a_file_is_in_its_events_and_read_back(scenario: Scenario):
    known = {"size": 7, "modified_ns": 5, "version": 'v"1/', "content_hash": "sha256:ab", "arrived_as": "was.csv"}
    arrival = type(file())(location="/in/ö", name="x.csv", **known)
    scenario.accept(request("a", arrival))

    shown = {"location": "/in/ö", "name": "x.csv", **known, "modified_ns": "5", "fingerprint": arrival.fingerprint}
    assert scenario.last("a")["file"] == shown
    assert scenario.ledger.load("a") == scenario.requests["a"]


def test_the_record_of_a_file_stays_packed(scenario: Scenario, world: RedisWorld):
    arrival = type(file())(
        location="sftp://import", name="x" * 56 + ".csv", size=1, modified_ns=1_800_000_000_123_456_789
    )
    scenario.accept(request("a", arrival))
    scenario.start("a", "1")
    scenario.ends("a")

    assert world.client.object("encoding", world.keys.request("a")) in {b"listpack", b"ziplist"}
    assert LedgerReader(world.client, world.keys).request("a")["file"]["fingerprint"] == arrival.fingerprint


def test_one_sweep_takes_thousands_of_runs(world: RedisWorld):
    with world.client.pipeline(transaction=False) as pipe:
        for number in range(4500):
            pipe.hset(world.keys.request(f"r{number}"), mapping={"state": "started", "mid": MID, "key": KEY})
        pipe.zadd(world.keys.follows, {f"r{number}": 1 for number in range(4500)})
        pipe.execute()

    assert len(world.ledger.due(1200, 60.0)) == 4500
    assert world.ledger.due(1200, 60.0) == []
    world.client.flushall()  # none of these has a time to live


def test_a_report_is_published_once_and_keeps_empty_lists_and_large_numbers(world: RedisWorld):
    file = {"name": "ü", "fingerprint": "0" * 32, "size": 2**60}
    data = {"mid": MID, "file": file, "text": "nothing names it", "reason": "no_match", "customer_keys": []}

    assert world.ledger.report("f1", "unrouted", MID, "x.csv", data) is True
    assert world.ledger.report("f1", "unrouted", MID, "x.csv", data) is False
    (event,) = world.events()
    assert event["data"] == data
    assert (event["id"], event["type"]) == ("f1/unrouted", "sfmc.import.unrouted")


@pytest.mark.parametrize("seconds", [0, 86399.999, 58 * DAY, 59 * DAY, 409 * DAY, 36525 * DAY, -9861 * DAY])
def test_the_time_of_an_event_is_the_time_of_redis(scenario: Scenario, world: RedisWorld, seconds: float):
    world.advance(seconds)
    scenario.arrives("a")

    stamped = datetime.fromisoformat(scenario.events("a")[0]["time"])
    assert stamped == datetime.fromtimestamp(world.now_ms() // 1000, UTC).replace(
        microsecond=world.now_ms() % 1000 * 1000
    )


def ttl(world: RedisWorld, key: str) -> float:
    return world.client.pttl(key) / 1000


def test_a_finished_request_is_forgotten_after_its_time_and_an_unfinished_one_much_later(scenario, world):
    scenario.arrives_and_starts("a")
    assert ttl(world, world.keys.request("a")) > 89 * DAY
    scenario.ends("a")

    assert 29 * DAY < ttl(world, world.keys.request("a")) <= 30 * DAY
    assert 29 * DAY < ttl(world, world.keys.task(MID, "task-a")) <= 30 * DAY


def test_a_definition_outlives_its_window_and_a_follow_up_its_wait(scenario: Scenario, world: RedisWorld):
    scenario.arrives_and_starts("a", window=24 * 200)
    scenario.ends("a")
    scenario.arrives("b")
    scenario.claim("b")

    assert ttl(world, world.keys.definition(MID, KEY)) > 200 * DAY
    assert ttl(world, world.keys.follow_ups(MID, KEY)) > 200 * DAY
    assert ttl(world, world.keys.request("b")) > 200 * DAY


def test_a_finished_request_keeps_no_field_that_only_work_needs(scenario: Scenario, world: RedisWorld):
    scenario.arrives("a")
    scenario.in_doubt("a", known=tuple(str(number) for number in range(50)))
    world.advance(60)
    scenario.ledger.record_start_unknown(scenario.look("a").lease, [], 0)

    left = set(world.record("a"))
    assert not left & {"owner", "sent", "not_before", "reconcile_until", "retry_until", "follow_until"}
    # An operator may name its run: none that existed before.
    assert "known" in left
    assert not left & {"polls", "worker_losses", "call", "started", "fence"}


def test_the_memory_of_files_and_source_events_ends(scenario: Scenario, world: RedisWorld):
    scenario.accept(request("a", file(), event_id="e"))
    scenario.go("a")
    kept = [key for key in world.client.scan_iter() if b":s:" in key or b":e:" in key]

    assert len(kept) == 2
    assert all(29 * DAY < world.client.pttl(key) / 1000 <= 30 * DAY for key in kept)


def test_the_stream_is_bounded(redis_server):
    small = RedisWorld(redis_server.url, LedgerSettings(stream_maxlen=100))
    for number in range(1000):
        small.ledger.accept(request(f"r{number}"))

    assert small.client.xlen(small.keys.stream) < 400
    small.client.close()


def test_two_prefixes_on_one_server_know_nothing_of_each_other(redis_server):
    first = RedisWorld(redis_server.url, LedgerSettings(prefix="sfmc-import:"))
    client = redis_py.Redis.from_url(redis_server.url)
    second = RedisLedger(client, LedgerSettings(prefix="other:"))
    first.ledger.accept(request("a"))

    assert second.load("a") is None
    assert second.accept(request("a")) is True
    first.restart()
    client.close()


def test_every_key_of_a_request_lies_in_the_slot_of_the_stream(scenario: Scenario, world: RedisWorld):
    scenario.accept(request("a", file(), key="a{b}c", event_id="{x}"))
    scenario.start("a", window=1)
    scenario.accept(request("b", file("b.csv"), key="a{b}c"))
    scenario.claim("b")
    slot = redis_py.crc.key_slot(world.keys.stream.encode())
    names = [name for name in world.client.scan_iter() if name != b"test:clock"]

    assert len(names) > 6
    assert {redis_py.crc.key_slot(name) for name in names} == {slot}


def test_a_defect_of_a_script_is_not_taken_for_a_redis_that_is_down(redis_server):
    begin = "function steps.reconcile_later()"

    def broken(name: str) -> str:
        return read_part(name).replace(begin, f"{begin} local none = nil; do return none.field end")

    world = RedisWorld(redis_server.url, SETTINGS, broken)
    scenario = Scenario(world)
    scenario.arrives("a")
    lease = scenario.go("a")

    with pytest.raises(redis_py.ResponseError):
        world.ledger.reconcile_later(lease, BUSY, 1)
    world.client.close()


BEFORE_REDIS_7 = "Error running script (call to f_5e8b): @user_script:29: @user_script: 29: "


@pytest.mark.parametrize(
    "text",
    [
        "-OOM command not allowed when used memory > 'maxmemory'.",
        "-READONLY You can't write against a read only replica.",
        "-MISCONF Redis is configured to save RDB snapshots, but it is currently not able to persist on disk.",
    ],
)
def test_a_state_of_the_server_inside_a_script_is_no_defect_of_the_script_before_redis_7(text: str):
    assert not is_defect(redis_py.ResponseError(BEFORE_REDIS_7 + text))


@pytest.mark.parametrize("text", ["no transition from BUSY to OOM", "-WRONGTYPE Operation against a key: OOM"])
def test_a_defect_of_a_script_stays_one_whatever_words_its_text_has(text: str):
    assert is_defect(redis_py.ResponseError(BEFORE_REDIS_7 + text))


def test_a_server_that_refuses_to_write_is_down(redis_server, world: RedisWorld):
    world.client.config_set("maxmemory", 1)
    try:
        with pytest.raises(LedgerUnavailableError, match="memory"):
            world.ledger.accept(request("a"))
    finally:
        world.client.config_set("maxmemory", 0)
    assert world.ledger.accept(request("a")) is True


def test_a_server_that_is_gone_is_down(tmp_path):
    client = redis_py.Redis.from_url(f"unix://{tmp_path}/none.sock")
    ledger = RedisLedger(client, SETTINGS)

    for call in (
        lambda: ledger.accept(request("a")),
        lambda: ledger.load("a"),
        lambda: ledger.unassigned_task_ids(MID, ["t"]),
    ):
        with pytest.raises(LedgerUnavailableError):
            call()
    client.close()


def test_scripts_that_the_server_forgot_are_sent_again(world: RedisWorld):
    world.ledger.accept(request("a"))
    world.client.script_flush()

    assert world.ledger.accept(request("b")) is True


def test_a_request_of_odd_ids_and_keys_lives_its_life(scenario: Scenario, world: RedisWorld):
    odd = "it's {odd}:*?[x]\\ \u00fc%s"
    scenario.accept(request("a/b:c@d+e=f", file(odd, version=odd), key=odd[:36], event_id=odd))
    scenario.start("a/b:c@d+e=f", window=1)
    scenario.ends("a/b:c@d+e=f")

    assert scenario.names("a/b:c@d+e=f") == ["accepted", "starting", "started", "completed"]
    assert world.due() == {}


def test_policies_reach_the_scripts_as_they_are():
    assert policy_arguments(Policy(frequency_floor=1.5))["window"] == 5_400_000
    assert policy_arguments(Policy(frequency_floor=1.5))["frequency"] is None
    assert policy_arguments(Policy(frequency=0.5))["frequency"] == 1_800_000
    assert policy_arguments(Policy(), Definition(customer_key="", max_import_frequency=2))["frequency"] == 7_200_000


def noted_server(world: RedisWorld, before: str | None, *, first: bool = True) -> list[str]:
    """Let a worker meet a server that knows no script, and whose ledger was last answered by `before`."""
    seen: list[str] = []
    ledger = RedisLedger(world.client, SETTINGS)
    ledger.works_off, ledger.server.on_change = True, seen.append
    if not first:
        ledger.server.note("one before", None, world.client.execute_command)
    if before is not None:
        world.client.set(world.keys.name_of(SERVER), before)
    world.client.script_flush()
    ledger.write_probe("w1", 1)
    return seen


def test_a_server_that_was_started_anew_makes_starts_careful(world: RedisWorld):
    run_id = world.client.info("server")["run_id"]

    assert noted_server(world, "another") == [run_id]
    assert world.client.exists(world.keys.name_of(LOSS))
    assert world.client.get(world.keys.name_of(SERVER)) == f"{run_id} 1".encode()


def test_an_empty_ledger_may_be_a_new_one(world: RedisWorld):
    assert noted_server(world, None) == []
    assert set(world.client.hgetall(world.keys.name_of(LOSS))) == {b"at", b"empty"}
    assert 0 < world.client.pttl(world.keys.name_of(LOSS)) <= SETTINGS.loss_ttl * 1000


def test_a_loss_of_an_empty_ledger_is_one(world: RedisWorld):
    noted_server(world, None)
    world.client.delete(world.keys.name_of(SERVER))
    noted_server(world, None)
    assert world.client.hexists(world.keys.name_of(LOSS), "empty")
    noted_server(world, "another")
    assert not world.client.hexists(world.keys.name_of(LOSS), "empty")
    world.client.delete(world.keys.name_of(SERVER))
    noted_server(world, None)

    assert not world.client.hexists(world.keys.name_of(LOSS), "empty")


def test_scripts_that_were_flushed_are_no_loss(world: RedisWorld):
    assert noted_server(world, world.client.info("server")["run_id"]) == []
    assert not world.client.exists(world.keys.name_of(LOSS))


def test_a_process_that_knew_another_server_notices_one_that_is_empty(world: RedisWorld):
    world.ledger.server.note("another", None, world.client.execute_command)
    world.client.delete(world.keys.name_of(SERVER))
    world.ledger.works_off = True
    world.client.script_flush()
    world.ledger.write_probe("w2", 1)

    assert world.client.exists(world.keys.name_of(LOSS))


def test_a_new_connection_notices_another_server_that_knows_the_scripts(world: RedisWorld, redis_server):
    seen: list[str] = []
    with redis_py.Redis.from_url(redis_server.url) as client:
        ledger = RedisLedger(client, SETTINGS)
        ledger.server.watch(client)
        ledger.server.on_change = seen.append
        ledger.write_probe("w1", 1)
        world.client.set(world.keys.name_of(SERVER), "one that ruled between")
        client.connection_pool.disconnect()
        ledger.write_probe("w1", 2)

    assert seen == [world.client.info("server")["run_id"]]
    assert world.client.exists(world.keys.name_of(LOSS))


def test_a_full_server_that_was_started_anew_is_noted_too(world: RedisWorld):
    world.client.config_set("maxmemory", 1)
    try:
        assert len(noted_server(world, None, first=False)) == 1
    finally:
        world.client.config_set("maxmemory", 0)


def test_a_login_that_may_not_ask_the_server_works_all_the_same(world: RedisWorld, redis_server):
    world.client.execute_command("ACL", "SETUSER", "least", "on", ">pw", "~*", "&*", "+@all", "-info")
    with redis_py.Redis.from_url(redis_server.url, username="least", password="pw") as client:
        ledger = RedisLedger(client, SETTINGS)
        ledger.server.watch(client)

        assert ledger.write_probe("w1", 1) is False
    world.client.execute_command("ACL", "DELUSER", "least")

"""Which workers and beats live, and to which account the ledger belongs."""

from sfmc_import.ledger.reading import LedgerReader
from sfmc_import.processes import Process, Running, owner_of, process_of
from tests.contract.ledger.scenario import MID, Scenario

OURS = f"{MID} at ours.example"
ELSEWHERE = f"{MID} at elsewhere.example"
THEIRS = "7 at theirs.example"
BEAT = Process(kind="beat", name="beat@host", id="b1")


def worker(account: str = OURS, name: str = "w1") -> Process:
    return Process(kind="worker", name=name, id=name, account=account)


def alive(scenario: Scenario) -> tuple[int, int]:
    found = Reader(scenario).running()
    return found.workers, found.beats


class Reader(LedgerReader):
    """The reader on the clock of the scripts."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario.world.client, scenario.world.keys)
        self.world = scenario.world

    def now(self) -> float:
        return self.world.now_ms() / 1000


def test_a_process_lives_until_it_leaves_or_is_silent_for_five_heartbeats(scenario: Scenario):
    for process in (worker(), worker(name="w2"), BEAT, worker()):
        scenario.ledger.present(process)
    assert alive(scenario) == (2, 1)

    scenario.ledger.absent(worker(name="w2"))
    scenario.ledger.absent(worker(name="w2"))
    assert alive(scenario) == (1, 1)

    scenario.world.advance(5)
    scenario.ledger.present(BEAT)
    scenario.world.advance(6)
    found = Reader(scenario).running()
    assert (found.workers, found.worker_seen, found.beats, found.beat_seen) == (0, 11.0, 1, 6.0)
    assert found.missing[0].startswith("no worker runs (the last one was seen 11 s ago, at 20")
    assert found.late[0].startswith("the newest heartbeat of a beat is 6 s old")


def test_a_process_that_is_silent_for_an_hour_is_forgotten(scenario: Scenario):
    scenario.ledger.present(worker())
    scenario.world.advance(3601)
    scenario.ledger.present(BEAT)

    assert scenario.world.client.zcard(scenario.world.keys.processes) == 1


def test_when_the_last_worker_was_there_is_known_for_months_after_its_end(scenario: Scenario):
    scenario.ledger.present(worker())
    scenario.world.advance(5)
    scenario.ledger.absent(worker())
    scenario.ledger.present(BEAT)
    scenario.world.advance(3 * 86400)
    scenario.ledger.present(BEAT)

    found = Reader(scenario).running()
    assert (found.worker_seen, found.beat_seen) == (3 * 86400, 0.0)
    assert found.missing[0].startswith("no worker runs (the last one was seen 3 d ago, at ")
    assert scenario.world.client.pttl(scenario.world.keys.last_seen) > 89 * 86400 * 1000


def test_since_when_there_is_no_memory_counts_from_the_first_process_that_finds_it_and_ends_with_one(
    scenario: Scenario,
):
    reader, said = Reader(scenario), {"process": BEAT.as_text(), "account": ""}
    scenario.ledger._run("present", said | {"is_full": True})
    begun = reader.full_since()
    scenario.world.advance(60)
    scenario.ledger._run("present", said | {"is_full": True})

    assert (begun is not None, reader.full_since()) == (True, begun)
    assert reader.running().missing[0].startswith("no worker runs (none has run yet)")
    scenario.ledger.present(BEAT)
    assert reader.full_since() is None


def test_a_process_is_known_by_the_owner_of_its_calls_until_it_is_forgotten(scenario: Scenario):
    scenario.ledger.present(worker())
    scenario.ledger.present(BEAT)
    scenario.world.advance(11)
    scenario.ledger.present(BEAT)
    heard = Reader(scenario).processes_heard()

    assert {name: (each.name, each.is_gone) for name, each in heard.items()} == {
        "w1": ("w1", True),
        "b1": ("beat@host", False),
    }
    assert process_of(owner_of("w1", "call")) == "w1"
    assert (process_of(owner_of("", "call")), process_of("call")) == ("", "")
    assert Reader(scenario).last_heartbeat() == Reader(scenario).now()


def test_the_end_of_one_worker_is_no_heartbeat_of_another(scenario: Scenario):
    scenario.ledger.present(worker())
    scenario.world.advance(6)
    scenario.ledger.absent(worker(name="w2"))

    assert Reader(scenario).running().worker_seen == 6.0


def test_the_ledger_belongs_to_the_account_of_its_first_worker(scenario: Scenario):
    assert scenario.ledger.present(BEAT) == ""
    assert not scenario.world.client.exists(scenario.world.keys.account)
    assert scenario.ledger.present(worker()) == OURS
    assert scenario.ledger.present(worker(THEIRS, "w2")) == OURS
    assert scenario.ledger.present(BEAT) == OURS
    assert Reader(scenario).account() == OURS


def test_a_ledger_is_taken_over_once_and_again_without_harm(scenario: Scenario):
    scenario.ledger.present(worker(THEIRS))
    scenario.world.advance(21)

    assert [scenario.ledger.take_over(OURS) for _ in range(2)] == ["taken", "taken"]
    assert scenario.ledger.present(worker()) == OURS
    record = scenario.world.client.hgetall(scenario.world.keys.account)
    assert record[b"before"] == THEIRS.encode()


def test_a_ledger_is_not_taken_from_workers_that_live(scenario: Scenario):
    scenario.ledger.present(worker(THEIRS))
    scenario.ledger.present(BEAT)

    assert scenario.ledger.take_over(OURS) == "workers"
    scenario.ledger.absent(worker(THEIRS))
    assert scenario.ledger.take_over(OURS) == "taken"


def test_workers_of_the_same_account_do_not_stop_its_takeover(scenario: Scenario):
    scenario.ledger.present(worker(THEIRS))
    scenario.ledger.absent(worker(THEIRS))
    scenario.ledger.present(worker(OURS))

    assert scenario.ledger.take_over(OURS) == "taken"


def with_a_request(scenario: Scenario, owner: str):
    scenario.ledger.present(worker(owner))
    scenario.ledger.absent(worker(owner))
    scenario.arrives("a")


def test_unfinished_requests_stay_with_their_business_unit(scenario: Scenario):
    with_a_request(scenario, THEIRS)

    assert scenario.ledger.take_over(OURS) == "unfinished"
    assert Reader(scenario).account() == THEIRS


def test_unfinished_requests_go_with_their_business_unit_to_another_host(scenario: Scenario):
    with_a_request(scenario, ELSEWHERE)

    assert scenario.ledger.take_over(OURS) == "taken"
    assert Reader(scenario).account() == OURS


def test_a_process_counts_for_five_heartbeats_and_is_called_late_after_two():
    def late(seen: float) -> tuple[str, ...]:
        return Running(workers=1, beats=1, worker_seen=seen, beat_seen=0.0).late

    assert (late(2.1), late(4.0)) == ((), ())
    assert [line.partition(" s old")[0][-2:] for line in late(9.9)] == ["10"]


def test_a_frozen_worker_may_come_back_before_its_ledger_is_given_away(scenario: Scenario):
    scenario.ledger.present(worker(THEIRS))
    scenario.world.advance(15)

    assert alive(scenario) == (0, 0)
    assert scenario.ledger.take_over(OURS) == "workers"


def test_what_is_missing_is_said_in_a_sentence_each():
    assert Running(workers=1, beats=2).missing == ()
    assert [line[:9] for line in Running(workers=0, beats=0).missing] == ["no worker", "no beat r"]

from sfmc_import.cli.doctor_redis import (
    check_account,
    check_left,
    check_overdue,
    check_processes,
    check_queue,
    check_unread,
)
from sfmc_import.processes import Running, running

OURS, THEIRS = "1 at ours", "2 at theirs"


def test_a_ledger_of_another_account_fails_and_says_how_to_move_it() -> None:
    assert [check_account(owner, OURS).level for owner in ("", OURS, THEIRS)] == ["ok", "ok", "fail"]
    assert check_account(THEIRS, "").level == "ok"
    assert "--move-ledger" in check_account(THEIRS, OURS).fix


def test_processes_that_are_missing_are_a_warning_with_what_does_not_happen() -> None:
    all_run = check_processes(Running(workers=2, beats=1, worker_seen=1.0, beat_seen=3.4))

    assert (all_run.level, all_run.text) == ("ok", "workers: 2, beats: 1, last heartbeats 1 and 3 s ago")
    assert "no beat runs" in check_processes(Running(workers=2, beats=0)).text
    late = check_processes(Running(workers=2, beats=1, worker_seen=7.0, beat_seen=1.0))
    assert (late.level, "heartbeat of a worker is 7 s old" in late.text) == ("warn", True)


def test_due_work_that_no_process_will_do_is_a_failure_and_a_fresh_installation_is_none() -> None:
    fresh, no_beat = Running(workers=0, beats=0), Running(workers=2, beats=0)

    assert [check_processes(fresh, overdue).level for overdue in (0.0, 0.5)] == ["warn", "fail"]
    assert [check_processes(no_beat, overdue).level for overdue in (0.0, 0.5)] == ["warn", "fail"]
    assert "a request that is due has waited for 2 min" in check_processes(fresh, 120.0).text
    assert check_processes(fresh).fix == "start sfmc-import worker and sfmc-import beat"
    assert check_processes(no_beat, 1.0).fix == "start sfmc-import beat"
    standing = Running(workers=1, beats=0, worker_seen=7.0)
    assert check_processes(standing).fix == "start sfmc-import beat, and find out why those that are late stand still"
    late = Running(workers=1, beats=1, worker_seen=7.0, beat_seen=1.0)
    assert check_processes(late, 120.0).level == "warn"


def test_a_request_that_is_due_for_long_is_a_warning() -> None:
    assert [check_overdue(seconds).level for seconds in (0, 60, 61)] == ["ok", "ok", "warn"]


def test_what_no_process_of_ours_wrote_is_not_counted() -> None:
    texts = ['{"kind":"worker"}', '{"kind":"beat"}', '{"kind":"other"}', "[]", "no json", '{"kind":"worker"}']

    found = running((text, number * 5.0) for number, text in enumerate(texts))

    assert (found.workers, found.beats, found.worker_seen, found.beat_seen) == (1, 1, 0.0, 5.0)


def test_messages_that_no_worker_takes_are_a_failure():
    assert [check_queue(0, is_taken=True, workers=workers).level for workers in (0, 1)] == ["ok", "ok"]
    assert check_queue(5, is_taken=True, workers=1).text == "5 messages in the queue, and workers take them"
    assert check_queue(1, is_taken=False, workers=0).text == "1 message in the queue, and no worker runs"
    stands = check_queue(2, is_taken=False, workers=3)
    assert (stands.level, stands.text) == (
        "fail",
        "2 messages in the queue; the first was not taken in 3 s, though 3 workers run",
    )


def test_lists_of_the_queue_that_no_worker_reads_are_named():
    found = check_unread({"imports-3": 1, "imports\x069": 2})

    assert (found.level, found.text) == ("fail", "3 messages in 'imports-3', 'imports\\x069', which no worker reads")


def test_messages_that_dead_workers_left_are_a_failure():
    assert check_left(1).text == "1 message of workers that died is taken up by none"
    assert (check_left(2).level, check_left(2).text) == (
        "fail",
        "2 messages of workers that died are taken up by none",
    )

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfmc_producers.stability import IGNORED_NAMES, Dating, FileStat, ScanResult, StabilityRule, evaluate

RULE = StabilityRule(scans=2, seconds=2.0)
A = FileStat("a.csv", 10, 1_000)


def scans(rule: StabilityRule, *at: tuple[float, list[FileStat]]) -> list[ScanResult]:
    seen, taken = {}, []
    for now, file_stats in at:
        taken.append(evaluate(seen, file_stats, now, rule))
        seen = taken[-1].seen
    return taken


def stable(rule: StabilityRule, *at: tuple[float, list[FileStat]]) -> list[list[str]]:
    return [[each.name for each in one.stable] for one in scans(rule, *at)]


def reasons(one: ScanResult) -> dict[str, str]:
    return {each.name: each.reason for each in one.waiting}


def test_a_file_is_finished_after_the_looks_and_the_seconds():
    assert stable(RULE, (0, [A]), (1, [A]), (2, [A])) == [[], [], ["a.csv"]]


def test_the_seconds_alone_do_not_finish_a_file():
    assert stable(StabilityRule(scans=3, seconds=2.0), (0, [A]), (60, [A]), (61, [A])) == [[], [], ["a.csv"]]


@pytest.mark.parametrize(
    "changed", [FileStat("a.csv", 11, 1_000), FileStat("a.csv", 10, 1_001), FileStat("a.csv", 10, 1_000, 5)]
)
def test_a_change_of_size_or_time_stamp_starts_the_wait_anew(changed):
    assert stable(RULE, (0, [A]), (2, [changed]), (3, [changed]), (4, [changed])) == [[], [], [], ["a.csv"]]


def test_an_old_time_stamp_does_not_make_a_file_finished_at_first_sight():
    ancient = FileStat("a.csv", 10, 0)

    assert stable(RULE, (1_000_000, [ancient]), (1_000_001, [ancient])) == [[], []]


def test_a_finished_file_stays_finished_until_it_changes_and_then_finishes_again():
    changed = FileStat("a.csv", 20, 2_000)
    at = [(0, [A]), (2, [A]), (3, [A]), (4, [changed]), (6, [changed])]

    assert stable(RULE, *at) == [[], ["a.csv"], ["a.csv"], [], ["a.csv"]]


def test_a_file_that_vanishes_is_reported_once_and_starts_anew_when_it_returns():
    first, second, third, fourth = scans(RULE, (0, [A]), (1, []), (2, []), (3, [A]))

    assert [one.gone for one in (first, second, third, fourth)] == [(), ("a.csv",), (), ()]
    assert fourth.next_in == 2.0


@pytest.mark.parametrize(
    "name",
    [
        "a.csv.part",
        "A.CSV.PART",
        "a.tmp",
        "a.csv.filepart",
        "a.crdownload",
        ".a.csv.Xy12",
        "a.csv~",
        "~a.csv",
        ".d/a.csv",
        "a.csv.writing",
        "a.csv._COPYING_",
        "a.csv.inprogress",
        "a.csv.download",
        "a.csv.uploading",
        "a.csv.temp",
        "a.csv.incomplete",
        "a.csv.wip",
        "a.csv.!sync",
        "a.csv.aria2",
        "a.csv.lock",
        "a.csv.processed",
        "a.csv.DONE",
        "a.csv.imported",
        "a.csv.ok",
        "a.csv.md5",
        "a.csv.bak",
        "old.processed/a.csv",
    ],
)
def test_names_of_unfinished_and_of_handled_files_never_count(name):
    assert stable(RULE, (0, [FileStat(name, 1, 1)]), (9, [FileStat(name, 1, 1)])) == [[], []]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.csv.pgp", "done.csv", "a.part.csv", "ok", "a.csv.ok.csv"])
def test_other_names_count(name):
    assert stable(RULE, (0, [FileStat(name, 1, 1)]), (9, [FileStat(name, 1, 1)])) == [[], [name]]


def test_a_name_that_is_given_as_complete_counts_all_the_same():
    rule = StabilityRule(seconds=0, scans=1, complete=("*.READY",))
    names = ["a.ready", "b.done", ".hidden/c.ready"]

    assert stable(rule, (0, [FileStat(name, 1, 1) for name in names])) == [["a.ready"]]


def test_every_file_that_is_not_stable_says_why_and_since_when_it_waits():
    rule = StabilityRule(scans=2, seconds=2.0, marker=".go")
    grown = FileStat("a.csv", 20, 1_000)
    taken = scans(rule, (0, [A]), (1, [grown]), (3, [grown]), (9, [grown, FileStat("a.csv.go", 0, 1)]), (10, [A]))

    assert [[(each.reason, each.since, each.size) for each in one.waiting] for one in taken] == [
        [("growing", 0, 10)],
        [("growing", 0, 20)],
        [("no_marker", 0, 20)],
        [],
        [("growing", 10, 10)],
    ]


def test_the_temporary_names_are_a_choice():
    rule = StabilityRule(seconds=0, scans=1, ignored=("*.WORK",))

    assert stable(rule, (0, [FileStat("a.work", 1, 1), FileStat("b.part", 1, 1)])) == [["b.part"]]
    assert stable(StabilityRule(seconds=0, scans=1, ignored=()), (0, [FileStat("b.part", 1, 1)])) == [["b.part"]]


def test_with_a_marker_suffix_a_settled_file_waits_for_its_marker_and_the_marker_itself_never_counts():
    rule, done = StabilityRule(scans=2, seconds=2.0, marker=".done"), FileStat("a.csv.done", 0, 5)

    assert stable(rule, (0, [A]), (2, [A]), (3, [A, done]), (9, [A, done])) == [[], [], ["a.csv"], ["a.csv"]]


def test_a_marker_does_not_replace_the_settle_rule():
    rule, done = StabilityRule(scans=2, seconds=2.0, marker=".done"), FileStat("a.csv.done", 0, 5)

    assert stable(rule, (0, [A, done]), (1, [A, done])) == [[], []]


def test_empty_files_are_set_apart_unless_the_rule_runs_them():
    empty = FileStat("a.csv", 0, 1)
    skipping = evaluate({}, [empty], 0, StabilityRule(scans=1, seconds=0))
    running = evaluate({}, [empty], 0, StabilityRule(scans=1, seconds=0, empty="run"))

    assert (skipping.stable, reasons(skipping)) == ((), {"a.csv": "empty"})
    assert (running.stable, reasons(running)) == ((empty,), {})


def test_the_next_look_is_due_when_the_first_file_can_settle_and_looks_are_spread_over_that_time():
    b = FileStat("b.csv", 1, 1)

    assert [one.next_in for one in scans(RULE, (0, [A]), (1.5, [A, b]), (4, [A, b]))] == [2.0, 0.5, None]
    assert evaluate({}, [A], 0, StabilityRule(scans=3, seconds=2.0)).next_in == 1.0


FOLDER = st.dictionaries(
    st.sampled_from(["a.csv", "b.csv", "b.csv.done", "c.tmp"]),
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
)
HISTORY = st.lists(st.tuples(st.floats(0, 3), FOLDER), min_size=1, max_size=30)
RULES = st.builds(
    StabilityRule,
    scans=st.integers(1, 4),
    seconds=st.floats(0, 5),
    marker=st.sampled_from([None, ".done"]),
    empty=st.sampled_from(["run", "skip"]),
)


@given(HISTORY, RULES)
def test_whatever_happens_in_a_folder_only_files_unchanged_for_the_whole_rule_are_finished(history, rule):
    now, at = 0.0, []
    for pause, folder in history:
        now += pause
        at.append((now, [FileStat(name, *state) for name, state in folder.items()]))
    for index, taken in enumerate(scans(rule, *at)):
        expected = {each for each in at[index][1] if is_finished(each, at[: index + 1], rule)}
        empty = {name for name, reason in reasons(taken).items() if reason == "empty"}
        assert {each.name for each in taken.stable} | empty == {each.name for each in expected}
        assert all(each in expected for each in taken.stable)
        assert {each.name: each.reason for each in taken.waiting}.keys() | {each.name for each in taken.stable} == {
            each.name for each in at[index][1] if rule.is_candidate(each.name)
        }


def is_finished(file: FileStat, history: list[tuple[float, list[FileStat]]], rule: StabilityRule) -> bool:
    """The rule in words that need no memory: count back over the scans that show the same state."""
    if file.name.endswith((".tmp", ".done")):
        return False
    same = []
    for now, file_stats in reversed(history):
        if file not in file_stats:
            break
        same.append(now)
    names = {each.name for each in history[-1][1]}
    marked = rule.marker is None or file.name + rule.marker in names
    return marked and len(same) >= rule.scans and same[0] - same[-1] >= rule.seconds


WALL = 1_000_000.0
"""What the clock that dates ctime says when the watcher's clock says 0."""


def changed(at: float, size: int = 10) -> FileStat:
    return FileStat("a.csv", size, 0, int((WALL + at) * 1e9))


def test_where_a_look_came_before_the_wait_counts_from_the_last_change():
    file = changed(at=5.5)
    first = evaluate({}, [file], 6.0, RULE, Dating(offset=-WALL, not_before=5.0))
    second = evaluate(first.seen, [file], 7.6, RULE)

    assert first.next_in == pytest.approx(1.5)
    assert [each.name for each in second.stable] == ["a.csv"]


@pytest.mark.parametrize(("at", "since"), [(-3600, 5.0), (5.5, 5.5), (3600, 6.0)])
def test_a_change_is_never_dated_before_the_look_before_nor_after_this_one(at, since):
    assert Dating(offset=-WALL, not_before=5.0).changed_at(changed(at), 6.0) == pytest.approx(since)


LIFE = st.lists(st.tuples(st.sampled_from(["write", "touch", "look", "scan"]), st.floats(0, 3)), max_size=40)


@given(LIFE, st.builds(StabilityRule, scans=st.integers(1, 3), seconds=st.floats(0, 5)))
def test_whenever_it_is_looked_at_a_file_is_finished_only_when_it_was_unchanged_for_the_whole_rule(life, rule):
    now, size, changed_at, scanned_at, seen, looks = 0.0, 1, 0.0, None, {}, 0
    for what, pause in life:
        now += pause
        if what == "touch" and now == changed_at:
            continue  # nothing tells it from the change before
        if what in {"write", "touch"}:
            size, changed_at, looks = size + (what == "write"), now, 0
            continue
        dating = None if scanned_at is None else Dating(offset=-WALL, not_before=scanned_at)
        taken = evaluate(seen, [changed(changed_at, size)], now, rule, dating)
        seen, looks = taken.seen, looks + 1
        scanned_at = now if what == "scan" else scanned_at
        if taken.stable:
            # A double at this size of ctime has no more digits.
            assert now - changed_at >= rule.seconds - 1e-6
            assert looks >= rule.scans


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("a.csv", None),
        ("a.csv.keep", None),
        (".a.csv", "its name is one of files that are hidden or not complete (.*)"),
        ("A.CSV.PART", "its name is one of files that are hidden or not complete (*.part)"),
        ("a.csv.bak", "its name is one of files that are handled, or are markers (*.bak)"),
        ("a.csv.mine", "its name is to be ignored (*.mine)"),
        ("a.csv.go", "its name ends in .go: it is the marker of another file"),
        ("eu/.tmp/a.csv", "it lies in .tmp, whose name is one of files that are hidden or not complete (.*)"),
    ],
)
def test_a_name_that_never_counts_says_why(name, why):
    rule = StabilityRule(ignored=(*IGNORED_NAMES, "*.mine", "*.keep"), complete=("*.keep",), marker=".go")

    assert rule.why_ignored(name) == why

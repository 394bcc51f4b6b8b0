"""Questions of many threads that go as one: who waits for whom, and what follows an odd answer."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from sfmc_import.faults import NotApplied, Rejected
from sfmc_import.gathering import MOST, REST_SECONDS, SLOW_SECONDS, SOON_SECONDS, GatheringMarketingCloud, Pace
from sfmc_import.request import fold_key
from sfmc_import.runs import Definition, Run
from sfmc_import.thread_use import ThreadUse
from tests.support.fake_marketing_cloud import FakeMarketingCloud
from tests.support.waiting import eventually

MID = "510001234"
PATIENT = Pace(box=60.0, quiet=0.0, held=60.0)
"""A batch goes when the call before it has ended."""


class Batching(FakeMarketingCloud):
    """Answers several keys with one call; a call for `held` hangs until the gate opens."""

    def __init__(self, *keys: str) -> None:
        super().__init__(*(Definition(customer_key=key) for key in keys))
        self.batches: list[list[str]] = []
        self.gate = threading.Event()
        self.answer = None
        self.left_out: set[str] = set()

    def definition(self, mid, customer_key):
        answer = super().definition(mid, customer_key)
        if customer_key == "held":
            assert self.gate.wait(60)
        return answer

    def definitions_of(self, mid, customer_keys):
        self.batches.append(list(customer_keys))
        if self.answer is not None:
            return self.answer() if callable(self.answer) else self.answer
        found = [self._definitions.get((mid, fold_key(key))) for key in customer_keys if key not in self.left_out]
        return list(dict.fromkeys(each for each in found if each is not None))

    asks_newer = True

    def runs_of(self, mid, customer_key, *, above=None):
        answer = super().runs_of(mid, customer_key, above=above)
        if customer_key == "held":
            assert self.gate.wait(60)
        return answer

    def newer_runs_of(self, mid, customer_keys, above):
        self.batches.append([*sorted(customer_keys), above])
        if self.answer is not None:
            return self.answer() if callable(self.answer) else self.answer
        return [row for key in customer_keys for row in super(Batching, self).runs_of(mid, key, above=above)]

    @property
    def alone(self) -> list[str]:
        return sorted(key for name, key in self.calls if name == "definition" and key != "held")


class Hands:
    """A clock that is set by hand."""

    now = 1000.0

    def __call__(self):
        return self.now


def keys(number: int) -> list[str]:
    return [f"k{one}" for one in range(number)]


def gathering_over(service: Batching, pace: Pace = PATIENT, longest: float = 60.0) -> GatheringMarketingCloud:
    return GatheringMarketingCloud(service, service, pace, longest)


@contextmanager
def asked_together(service: Batching, wanted: list[str], cloud: GatheringMarketingCloud | None = None):
    """Ask for these keys while an earlier call is under way, and let that end."""
    cloud = cloud or gathering_over(service)
    with ThreadPoolExecutor(len(wanted) + 1) as threads:
        first = threads.submit(cloud.definition, MID, "held")
        eventually(lambda: service.calls, within=60, description="a call is under way")
        asking: list[Future] = [threads.submit(cloud.definition, MID, key) for key in wanted]
        waiting = len(wanted) % MOST or len(wanted)
        eventually(lambda: cloud.definitions_asked.waiting(MID) == waiting, within=60, description="they wait")
        service.gate.set()
        assert first.result().customer_key == "held"
        yield [each.result() for each in asking]


def test_a_question_that_comes_alone_goes_at_once_and_alone():
    service = Batching("k0")

    assert gathering_over(service).definition(MID, "k0") == Definition(customer_key="k0")
    assert (service.batches, service.alone) == ([], ["k0"])


def test_questions_that_come_while_a_call_is_under_way_go_as_one():
    service = Batching("held", *keys(20))

    with asked_together(service, keys(20)) as answers:
        assert [each.customer_key for each in answers] == keys(20)
    assert [sorted(batch) for batch in service.batches] == [sorted(keys(20))]
    assert service.alone == []


def test_a_batch_has_so_many_questions_at_most():
    service = Batching("held", *keys(MOST + 5))
    pace = Pace(box=60.0, quiet=0.0, held=60.0)
    cloud = gathering_over(service, pace)
    with ThreadPoolExecutor(MOST + 6) as threads:
        threads.submit(cloud.definition, MID, "held")
        eventually(lambda: service.calls, within=60, description="a call is under way")
        asking = [threads.submit(cloud.definition, MID, key) for key in keys(MOST + 5)]
        eventually(lambda: service.batches, within=60, description="a full batch waits for nothing")
        eventually(lambda: cloud.definitions_asked.waiting(MID) == 5, within=60, description="the others wait")
        service.gate.set()
        assert {each.result().customer_key for each in asking} == set(keys(MOST + 5))
    assert sorted(map(len, service.batches)) == [5, MOST]


def test_a_call_that_hangs_holds_the_next_batch_for_a_moment_only():
    service = Batching("held", "k0", "k1")
    cloud = gathering_over(service, Pace(box=60.0, quiet=60.0, held=0.01))
    with ThreadPoolExecutor(2) as threads:
        hanging = threads.submit(cloud.definition, MID, "held")
        eventually(lambda: service.calls, within=60, description="a call is under way")
        assert cloud.definition(MID, "k0") == Definition(customer_key="k0")
        assert not hanging.done()
        service.gate.set()


def test_a_thread_waits_for_the_batch_of_another_as_long_as_for_a_call_of_its_own():
    service = Batching("held", "k0", "k1")
    cloud, release = gathering_over(service, longest=0.01), threading.Event()
    service.answer = lambda: release.wait(60) and [Definition(customer_key=key) for key in ("k0", "k1")]
    with ThreadPoolExecutor(3) as threads:
        threads.submit(cloud.definition, MID, "held")
        eventually(lambda: service.calls, within=60, description="a call is under way")
        leading = threads.submit(cloud.definition, MID, "k0")
        eventually(lambda: cloud.definitions_asked.waiting(MID) == 1, within=60, description="it waits")
        late = threads.submit(cloud.definition, MID, "k1")
        assert late.result() == NotApplied("read_timeout", "another call is still reading this")
        service.gate.set()
        release.set()
        assert leading.result() == Definition(customer_key="k0")


def test_a_question_joins_no_batch_that_was_sent_before_it():
    service = Batching("held", *keys(3))
    entered, release = threading.Event(), threading.Event()

    def answer():
        entered.set()
        assert release.wait(60)
        service.answer = None
        return [Definition(customer_key=key, name="before") for key in ("k0", "k1")]

    service.answer = answer
    cloud = gathering_over(service)
    with ThreadPoolExecutor(4) as threads:
        threads.submit(cloud.definition, MID, "held")
        eventually(lambda: service.calls, within=60, description="a call is under way")
        asking = [threads.submit(cloud.definition, MID, key) for key in ("k0", "k1")]
        eventually(lambda: cloud.definitions_asked.waiting(MID) == 2, within=60, description="they wait")
        service.gate.set()
        assert entered.wait(60)
        later = threads.submit(cloud.definition, MID, "k0")
        eventually(lambda: cloud.definitions_asked.waiting(MID) == 1, within=60, description="it waits")
        release.set()
        assert [each.result().name for each in asking] == ["before"] * 2
        assert later.result().name is None


def test_each_spelling_gets_the_definition_that_it_finds():
    service = Batching("held", "Orders", "stock")

    with asked_together(service, ["ORDERS", "orders", "stock"]) as answers:
        assert [each.customer_key for each in answers] == ["Orders", "Orders", "stock"]
    assert len(service.batches) == 1


@pytest.mark.parametrize("odd", ["ünits", " orders", "orders ", "a  b", "a,b", "a'b", "a%b", "a*"])
def test_a_key_with_odd_characters_goes_alone(odd: str):
    service = Batching("held", odd, "k0")
    cloud = gathering_over(service)
    with ThreadPoolExecutor(1) as threads:
        threads.submit(cloud.definition, MID, "held")
        eventually(lambda: service.calls, within=60, description="a call is under way")
        assert cloud.definition(MID, odd) == Definition(customer_key=odd)
        service.gate.set()
    assert service.batches == []


def test_what_an_answer_leaves_out_is_asked_alone_and_questions_go_alone_for_a_while():
    service = Batching("held", *keys(3))
    service.left_out = {"k1"}
    cloud = gathering_over(service)

    with asked_together(service, keys(3), cloud) as answers:
        assert [each.customer_key for each in answers] == keys(3)
    assert service.alone == ["k1"]
    with asked_alone(cloud, service):
        assert len(service.batches) == 1


@contextmanager
def asked_alone(cloud: GatheringMarketingCloud, service: Batching):
    """Ask for two keys at once, each of which is answered alone."""
    service.calls.clear()
    assert [cloud.definition(MID, key).customer_key for key in ("k0", "k2")] == ["k0", "k2"]
    assert service.alone == ["k0", "k2"]
    yield


def test_a_key_that_is_not_there_is_asked_alone_and_batches_go_on():
    service = Batching("held", "k0", "k1")

    with asked_together(service, ["k0", "absent", "k1"]) as answers:
        assert [each and each.customer_key for each in answers] == ["k0", None, "k1"]
    assert service.alone == ["absent"]


@pytest.mark.parametrize(
    "answer",
    [Rejected("x", "IN is not known"), NotApplied("unreadable_reply", "…"), [Definition(customer_key="other")]],
)
def test_questions_of_a_batch_that_is_refused_are_asked_alone(answer: object):
    service = Batching("held", *keys(3))
    service.answer = answer

    with asked_together(service, keys(3)) as answers:
        assert [each.customer_key for each in answers] == keys(3)
    assert (len(service.batches), service.alone) == (1, keys(3))


def test_what_hits_the_whole_account_is_the_answer_to_all_and_no_question_is_repeated():
    service = Batching("held", *keys(3))
    service.answer = fault = NotApplied("token_refused", "…", account_wide=True)

    with asked_together(service, keys(3)) as answers:
        assert answers == [fault] * 3
    assert service.alone == []


def test_a_batch_that_fails_late_is_not_repeated():
    service, clock = Batching("held", *keys(2)), Hands()
    cloud = GatheringMarketingCloud(service, service, PATIENT, 60.0, clock)
    fault = NotApplied("read_timeout", "…")

    def answer():
        clock.now += SOON_SECONDS + 1
        return fault

    service.answer = answer
    with asked_together(service, keys(2), cloud) as answers:
        assert answers == [fault] * 2
    assert service.alone == []


class OneHangs(Batching):
    """A question about k0 takes long and then fails, alone or with others."""

    def __init__(self, clock: Hands) -> None:
        super().__init__("held", *keys(3))
        self.clock = clock

    def late(self):
        self.clock.now += SOON_SECONDS + 1
        return NotApplied("read_timeout", "…")

    def definition(self, mid, customer_key):
        found = super().definition(mid, customer_key)
        return self.late() if customer_key == "k0" else found

    def definitions_of(self, mid, customer_keys):
        found = super().definitions_of(mid, customer_keys)
        return self.late() if "k0" in customer_keys else found


def is_answered(answer) -> bool:
    return isinstance(answer, Definition)


def asked_beside_a_call(service: Batching, cloud: GatheringMarketingCloud, key: str):
    """Ask while another call is under way, behind which a question waits that is to go with others."""
    service.calls.clear()
    service.gate.clear()
    with ThreadPoolExecutor(2) as threads:
        threads.submit(cloud.definition, MID, "held")
        eventually(lambda: service.calls, within=60, description="a call is under way")
        asked = threads.submit(cloud.definition, MID, key)
        waits = lambda: cloud.definitions_asked.waiting(MID) == 1  # noqa: E731
        eventually(lambda: asked.done() or waits(), within=60, description="it is answered, or waits")
        is_alone = asked.done()
        service.gate.set()
        return is_alone, is_answered(asked.result())


def test_after_a_batch_that_failed_late_each_of_its_definitions_goes_alone_until_it_is_answered():
    clock = Hands()
    service = OneHangs(clock)
    cloud = GatheringMarketingCloud(service, service, PATIENT, 60.0, clock)
    with asked_together(service, keys(3), cloud):
        pass

    assert asked_beside_a_call(service, cloud, "k1") == (True, True)
    assert asked_beside_a_call(service, cloud, "k1") == (False, True)
    assert [asked_beside_a_call(service, cloud, "k0") for _ in range(2)] == [(True, False)] * 2


def test_a_definition_that_failed_late_goes_alone_for_a_time_that_begins_with_each_failure():
    clock = Hands()
    service = OneHangs(clock)
    cloud = GatheringMarketingCloud(service, service, PATIENT, 60.0, clock)
    cloud.definition(MID, "k0")
    for _ in range(2):
        clock.now += SLOW_SECONDS - SOON_SECONDS - 2
        assert asked_beside_a_call(service, cloud, "k0") == (True, False)

    clock.now += SLOW_SECONDS
    assert asked_beside_a_call(service, cloud, "k0") == (False, False)


def test_batches_are_tried_again_after_a_rest():
    service, clock = Batching("held", *keys(3)), Hands()
    cloud = GatheringMarketingCloud(service, service, PATIENT, 60.0, clock)
    service.answer = Rejected("x", "no")
    with asked_together(service, keys(3), cloud):
        service.answer = None
        clock.now += REST_SECONDS
        service.calls.clear()
        service.gate.clear()
    with asked_together(service, keys(3), cloud) as answers:
        assert [each.customer_key for each in answers] == keys(3)
    assert (len(service.batches), service.alone) == (2, [])


def test_questions_in_two_business_units_do_not_meet():
    service = Batching("held")
    service.add(Definition(customer_key="k0", name="there"), mid="2")
    cloud = gathering_over(service)
    with ThreadPoolExecutor(1) as threads:
        threads.submit(cloud.definition, MID, "held")
        eventually(lambda: service.calls, within=60, description="a call is under way")
        assert cloud.definition("2", "k0").name == "there"
        service.gate.set()


def test_an_error_of_the_thread_that_sends_leaves_no_thread_waiting():
    service = Batching("held", *keys(2))

    def answer():
        raise MemoryError

    service.answer = answer
    cloud = gathering_over(service)
    with ThreadPoolExecutor(3) as threads:
        threads.submit(cloud.definition, MID, "held")
        eventually(lambda: service.calls, within=60, description="a call is under way")
        asking = [threads.submit(cloud.definition, MID, key) for key in keys(2)]
        eventually(lambda: cloud.definitions_asked.waiting(MID) == 2, within=60, description="they wait")
        service.gate.set()
        failed = [each.exception() for each in asking]
    assert sorted(type(each).__name__ for each in failed) == ["MemoryError", "NoneType"]


@contextmanager
def scarce(use: ThreadUse):
    """Let a Perform hold the only thread."""
    with use.carrying(), use.starting():
        yield


SPARING = Pace(box=5.0, quiet=0.0, held=60.0, spares_threads=True)


def test_no_question_waits_once_threads_have_been_scarce_for_the_box():
    service, clock = Batching("held", "k0"), Hands()
    cloud = GatheringMarketingCloud(service, service, SPARING, 60.0, clock, use := ThreadUse(clock))
    with ThreadPoolExecutor(1) as threads, scarce(use):
        threads.submit(cloud.definition, MID, "held")
        eventually(lambda: service.calls, within=60, description="a call is under way")
        clock.now += SPARING.box
        assert cloud.definition(MID, "k0") == Definition(customer_key="k0")
        service.gate.set()
    assert service.alone == ["k0"]


def test_a_question_that_waits_goes_when_threads_become_scarce():
    service = Batching("held", "k0")
    pace = Pace(box=0.0, quiet=60.0, held=60.0, spares_threads=True)
    cloud = GatheringMarketingCloud(service, service, pace, 60.0, use=(use := ThreadUse()))
    with ThreadPoolExecutor(2) as threads:
        threads.submit(cloud.definition, MID, "held")
        eventually(lambda: service.calls, within=60, description="a call is under way")
        asking = threads.submit(cloud.definition, MID, "k0")
        eventually(lambda: cloud.definitions_asked.waiting(MID) == 1, within=60, description="it waits")
        with scarce(use):
            assert asking.result(30) == Definition(customer_key="k0")
        service.gate.set()


@pytest.mark.parametrize("pace", [SPARING, PATIENT])
def test_questions_gather_while_a_wave_of_performs_is_short_or_calls_are_limited(pace: Pace):
    service, clock = Batching("held", *keys(3)), Hands()
    cloud = GatheringMarketingCloud(service, service, pace, 60.0, clock, use := ThreadUse(clock))

    with scarce(use):
        clock.now += SPARING.box - 1 if pace.spares_threads else 2 * pace.box
        with asked_together(service, keys(3), cloud) as answers:
            assert [each.customer_key for each in answers] == keys(3)
    assert [sorted(batch) for batch in service.batches] == [keys(3)]


def test_a_perform_holds_a_thread():
    service = Batching("k0")
    cloud = GatheringMarketingCloud(service, service, SPARING, 60.0, use=(use := ThreadUse()))
    seen = []
    service.start = lambda *_, **__: seen.append(use.scarce_since)  # type: ignore[method-assign, assignment]

    with use.carrying():
        cloud.start(MID, "k0", not_after=1.0)
        assert (seen[0] is not None, use.scarce_since) == (True, None)


@contextmanager
def runs_asked_together(service: Batching, wanted: list[tuple[str, str]]):
    """Ask for the runs of these keys above these ids while an earlier call is under way, and let that end."""
    cloud = gathering_over(service)
    with ThreadPoolExecutor(len(wanted) + 1) as threads:
        first = threads.submit(cloud.runs_of, MID, "held", above="1")
        eventually(lambda: service.calls, within=60, description="a call is under way")
        asking = [threads.submit(cloud.runs_of, MID, key, above=above) for key, above in wanted]
        eventually(lambda: cloud.runs_asked.waiting(MID) == len(wanted), within=60, description="they wait")
        service.gate.set()
        assert first.result() == []
        yield [each.result() for each in asking]


def ids(answer):
    return sorted(row.task_id for row in answer)


def row(task_id: str, key: str) -> Run:
    return Run(task_id=task_id, customer_key=key, status="Completed")


def test_newer_runs_of_many_definitions_are_asked_for_as_one_above_the_lowest_id():
    service = Batching("held", *keys(3))
    service.answer = [row("12", "k0"), row("13", "K1"), row("14", "k1")]

    with runs_asked_together(service, [("k0", "11"), ("k1", "9"), ("k2", "11")]) as answers:
        assert [ids(each) for each in answers] == [["12"], ["13", "14"], []]
    assert service.batches == [["k0", "k1", "k2", "9"]]


def test_a_run_that_names_no_definition_is_known_to_each_of_them():
    service = Batching("held", *keys(2))
    service.answer = [row("12", "k0"), row("13", "")]

    with runs_asked_together(service, [("k0", "11"), ("k1", "11")]) as answers:
        assert [ids(each) for each in answers] == [["12", "13"], ["13"]]


def test_runs_of_a_definition_that_was_not_asked_for_make_each_question_go_alone():
    service = Batching("held", *keys(2))
    service.answer = [row("12", "other")]

    with runs_asked_together(service, [("k0", "11"), ("k1", "11")]) as answers:
        assert answers == [[], []]
    assert [name for name, _ in service.calls] == ["runs_of"] * 3


@pytest.mark.parametrize("above", [None, "x"])
def test_all_runs_of_a_definition_are_asked_for_alone(above):
    service = Batching("k0")
    cloud = gathering_over(service)
    asked = []
    service.runs_of = lambda _, key, *, above: asked.append((key, above)) or []  # type: ignore[method-assign]

    assert cloud.runs_of(MID, "k0", above=above) == []
    assert (asked, service.batches) == ([("k0", above)], [])


def test_newer_runs_are_not_asked_for_together_where_the_service_refuses_the_filter():
    service = Batching("held", *keys(2))
    service.asks_newer = False
    cloud = gathering_over(service)
    with ThreadPoolExecutor(1) as threads:
        threads.submit(cloud.runs_of, MID, "held", above="1")
        eventually(lambda: service.calls, within=60, description="a call is under way")
        assert cloud.runs_of(MID, "k0", above="1") == []
        service.gate.set()
    assert service.batches == []

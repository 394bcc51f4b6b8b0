"""The memory of definitions: how long, for whom, and one question for many who ask."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from sfmc_import.definitions import MAX_LOOKED, OUTAGE_TTL, CachedDefinitions
from sfmc_import.faults import NotApplied, Rejected
from sfmc_import.ledger.shared_definitions import Look
from sfmc_import.retrying import REFUSAL_SECONDS
from sfmc_import.runs import Definition, FileLocation
from tests.support.fake_marketing_cloud import FakeMarketingCloud
from tests.support.waiting import eventually

MID = "510001234"
ORDERS = Definition(customer_key="orders", max_import_frequency=4)


class Hands:
    """A clock that is set by hand."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class SlowMarketingCloud(FakeMarketingCloud):
    """Answers when the gate opens."""

    def __init__(self, *definitions):
        super().__init__(*definitions)
        self.gate = threading.Event()

    def definition(self, mid, customer_key):
        answer = super().definition(mid, customer_key)
        assert self.gate.wait(60)
        return answer


@pytest.fixture
def clock():
    return Hands()


@pytest.fixture
def service():
    return FakeMarketingCloud(ORDERS)


@pytest.fixture
def definitions(service, clock):
    return CachedDefinitions(service, ttl=60, clock=clock)


def test_a_definition_is_read_once_and_then_given_from_memory(definitions, service):
    assert [definitions.get(MID, "orders") for _ in range(3)] == [ORDERS] * 3
    assert service.calls == [("definition", "orders")]


def test_a_change_is_seen_when_its_time_to_live_is_over(definitions, service, clock):
    definitions.get(MID, "orders")
    changed = Definition(customer_key="orders", max_import_frequency=24)
    service.add(changed)

    clock.now = 59.9
    assert definitions.get(MID, "orders") == ORDERS
    clock.now = 60
    assert definitions.get(MID, "orders") == changed


def test_an_unknown_key_is_remembered_for_a_few_seconds_only(definitions, service, clock):
    absent = definitions.get(MID, "new")
    service.add(Definition(customer_key="new"))
    clock.now = 1

    assert isinstance(absent, Rejected)
    assert (definitions.get(MID, "new"), absent.code, absent.asked_at) == (absent, "43010", 0)
    clock.now = REFUSAL_SECONDS
    assert definitions.get(MID, "new") == Definition(customer_key="new")


def test_a_failure_is_not_remembered(definitions, service):
    fault = NotApplied("refused", "…")
    service.fail("definition", fault)

    assert definitions.get(MID, "orders") == fault
    assert definitions.get(MID, "orders") == ORDERS


def test_the_same_key_in_two_business_units_is_two_definitions(definitions, service):
    other = Definition(customer_key="orders", max_import_frequency=1)
    service.add(other, mid="2")

    assert definitions.get(MID, "orders") == ORDERS
    assert definitions.get("2", "orders") == other


def test_many_who_ask_at_once_share_one_question_and_its_answer():
    service = SlowMarketingCloud(ORDERS)
    definitions = CachedDefinitions(service, ttl=60, clock=Hands())
    with ThreadPoolExecutor(8) as threads:
        first = threads.submit(definitions.get, MID, "orders")
        eventually(lambda: service.calls, within=60, description="the question is asked")
        others = [threads.submit(definitions.get, MID, "orders") for _ in range(7)]
        service.gate.set()

        assert [asking.result() for asking in (first, *others)] == [ORDERS] * 8
    assert len(service.calls) == 1


def test_all_definitions_of_a_business_unit_are_read_once_and_then_given_from_memory(definitions, service):
    assert [list(definitions.all_of(MID)) for _ in range(3)] == [[ORDERS]] * 3
    assert len(service.calls) == 1


def test_known_definitions_are_given_on_while_marketing_cloud_cannot_be_asked(definitions, service, clock):
    definitions.all_of(MID)
    service.fail("definitions", NotApplied("refused", "…"))
    clock.now = 60

    assert list(definitions.all_of(MID)) == [ORDERS]
    assert list(definitions.all_of(MID)) == [ORDERS]
    assert len(service.calls) == 2, "it is asked again after another time to live"


def test_a_list_that_cannot_be_read_anew_says_since_when_and_how_old_it_is(definitions, service, clock):
    clock.now = 5
    definitions.all_of(MID)
    assert definitions.old_lists() == []
    for clock.now in (70, 110):
        service.fail("definitions", NotApplied("refused", "no route"))
        assert list(definitions.all_of(MID)) == [ORDERS]
    clock.now = 115
    [old] = definitions.old_lists()

    assert (old.mid, old.failing_for, old.age) == (MID, 45, 110)
    assert (old.code, old.text) == ("refused", "no route")
    clock.now = 200
    definitions.all_of(MID)
    assert definitions.old_lists() == []


def test_an_old_list_is_asked_for_every_half_minute_until_it_is_read_and_its_outage_ends_with_that(
    definitions, service, clock
):
    definitions.all_of(MID)
    service.fail("definitions", NotApplied("refused", "no route"), times=2)
    clock.now = 60
    definitions.all_of(MID)
    for clock.now in (61, 89, 90.5, 91, 120):
        definitions.read_old_lists()
    assert len(service.calls) == 3
    assert [each.failing_for for each in definitions.old_lists()] == [60]

    for clock.now in (121, 122, 200):
        definitions.read_old_lists()
    assert (len(service.calls), definitions.old_lists()) == (4, [])

    service.fail("definitions", NotApplied("http_status", "500"))
    clock.now = 300
    definitions.all_of(MID)
    assert [(each.failing_for, each.code) for each in definitions.old_lists()] == [(0, "http_status")]


def test_a_business_unit_that_was_never_read_gives_the_failure_and_is_asked_again(definitions, service):
    fault = NotApplied("refused", "…")
    service.fail("definitions", fault)

    assert definitions.all_of(MID) == fault
    assert definitions.old_lists() == []
    assert list(definitions.all_of(MID)) == [ORDERS]


OBJECT_ID = "5e1ad037-29c3-de11-9a36-001e0bfba5bd"


def test_a_definition_that_must_be_fresh_is_read_again_when_it_is_older(definitions, service, clock):
    definitions.get(MID, "orders")
    changed = Definition(customer_key="orders", max_import_frequency=24)
    service.add(changed)

    clock.now = 10
    assert definitions.get(MID, "orders", max_age=10) == ORDERS
    clock.now = 10.1
    assert definitions.get(MID, "orders", max_age=10) == changed
    assert definitions.get(MID, "orders") == changed


def test_a_definition_says_when_it_was_asked_for(definitions, clock):
    clock.now = 7
    definitions.get(MID, "orders")
    clock.now = 20

    assert definitions.known(MID, "orders").asked_at == 7


def test_who_wants_what_is_true_now_does_not_share_an_answer_that_was_asked_for_before(clock):
    service = SlowMarketingCloud(ORDERS)
    definitions = CachedDefinitions(service, ttl=60, clock=clock)
    with ThreadPoolExecutor(8) as threads:
        first = threads.submit(definitions.get, MID, "orders")
        eventually(lambda: service.calls, within=60, description="the question is asked")
        clock.now = 1
        changed = Definition(customer_key="orders", max_import_frequency=24)
        service.add(changed)
        others = [threads.submit(definitions.get, MID, "orders", max_age=0) for _ in range(7)]
        service.gate.set()

        assert first.result() == ORDERS
        assert [asking.result() for asking in others] == [changed] * 7
    assert len(service.calls) == 2


def test_a_list_of_definitions_that_must_be_fresh_is_read_again_when_it_is_older(definitions, service, clock):
    definitions.all_of(MID)
    added = Definition(customer_key="new")
    service.add(added)
    clock.now = 11

    assert added not in definitions.all_of(MID)
    assert added in definitions.all_of(MID, max_age=10)


def test_a_list_that_cannot_be_read_anew_is_given_on_for_a_while_whatever_its_age(definitions, service, clock):
    definitions.all_of(MID)
    service.calls.clear()
    clock.now = 11
    service.fail("definitions", NotApplied("refused", "…"))

    assert list(definitions.all_of(MID, max_age=10)) == [ORDERS]
    clock.now = 11 + OUTAGE_TTL - 1
    assert list(definitions.all_of(MID, max_age=10)) == [ORDERS]
    assert len(service.calls) == 1
    clock.now = 11 + OUTAGE_TTL
    assert list(definitions.all_of(MID, max_age=10)) == [ORDERS]
    assert len(service.calls) == 2


def test_what_is_known_is_given_without_a_question(definitions, service, clock):
    assert definitions.known(MID, "orders") is None
    definitions.get(MID, "orders")
    definitions.get(MID, "missing")
    service.calls.clear()

    assert definitions.known(MID, "orders") == ORDERS
    assert definitions.known(MID, "missing") is None
    clock.now = 60
    assert definitions.known(MID, "orders") is None
    assert service.calls == []


def test_a_definition_found_by_its_object_id_or_another_spelling_is_known_by_its_key(definitions, service):
    named = Definition(customer_key="Daily", object_id=OBJECT_ID)
    service.add(named)

    assert definitions.get(MID, "x", object_id=OBJECT_ID) == named
    assert definitions.known(MID, "Daily") == named
    assert definitions.known(MID, "daily") is None
    assert definitions.get(MID, "DAILY") == named


def test_a_thread_waits_only_so_long_for_the_answer_of_another(clock):
    service = SlowMarketingCloud(ORDERS)
    definitions = CachedDefinitions(service, ttl=60, clock=clock, longest_wait=0.05)
    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(definitions.get, MID, "orders")
        eventually(lambda: service.calls, within=60, description="a thread is reading")

        fault = definitions.get(MID, "orders")
        service.gate.set()

        assert isinstance(fault, NotApplied)
        assert reading.result(60) == ORDERS


def test_any_number_of_definitions_that_hang_hold_no_other(clock):
    class Hanging(SlowMarketingCloud):
        def definition(self, mid, customer_key):
            return super().definition(mid, customer_key) if customer_key != "orders" else ORDERS

    service = Hanging(ORDERS)
    definitions = CachedDefinitions(service, ttl=60, clock=clock)
    with ThreadPoolExecutor(40) as threads:
        for number in range(40):
            threads.submit(definitions.get, MID, f"slow-{number}")
        eventually(lambda: len(service.calls) == 40, within=60, description="all of them hang")

        assert len(definitions._asking) == 40
        assert definitions.get(MID, "orders") == ORDERS
        service.gate.set()
    assert definitions._asking == {}


class Described:
    """Says from where the definition `orders` reads, and counts the questions."""

    def __init__(self):
        self.answer = FileLocation("partner sftp", "5e1ad037")
        self.asked = 0

    def location(self, _mid, customer_key):
        self.asked += 1
        return self.answer if customer_key == "orders" else None


def test_a_location_is_read_once_in_the_time_of_a_definition_and_then_again(service, clock):
    described = Described()
    definitions = CachedDefinitions(service, describing=described, ttl=60, clock=clock)
    assert [definitions.location(MID, "orders") for _ in range(3)] == [described.answer] * 3
    assert described.asked == 1
    clock.now, described.answer = 61.0, FileLocation("another")
    assert definitions.location(MID, "orders") == FileLocation("another")


def test_a_location_is_refused_where_there_is_no_definition_and_asked_for_again_after_a_fault(service, clock):
    described = Described()
    definitions = CachedDefinitions(service, describing=described, ttl=60, clock=clock)
    absent = definitions.location(MID, "gone")
    assert (type(absent), absent.code) == (Rejected, "43010")
    described.answer = NotApplied("connection", "no answer")
    assert [definitions.location(MID, "orders").code for _ in range(2)] == ["connection"] * 2
    assert described.asked == 3


class SharedByHand:
    """What other processes have read, set by a test; what this one shares is noted."""

    def __init__(self):
        self.found = None
        self.looks, self.shared, self.forgotten, self.lists = [], [], [], []
        self.outdated_at = None
        self.time = 7

    def look(self, _mid, customer_key, max_age):
        self.looks.append((customer_key, max_age))
        return Look(self.found, self.time)

    def now(self):
        return self.time

    def share(self, _mid, asked_for, asked_at):
        self.shared.append((dict(asked_for), asked_at))

    def share_all(self, _mid, found, asked_at):
        self.lists.append((list(found), asked_at))

    def forget(self, _mid, customer_key):
        self.forgotten.append(customer_key)

    def is_outdated(self, _mid, _key, asked_at):
        return self.outdated_at is not None and asked_at <= self.outdated_at


@pytest.fixture
def others():
    return SharedByHand()


@pytest.fixture
def sharing(service, clock, others):
    return CachedDefinitions(service, ttl=60, clock=clock, shared=others)


def test_what_another_process_read_is_taken_and_keeps_its_age(sharing, service, clock, others):
    clock.now = 100
    others.found = replace(ORDERS, asked_at=93.0)

    assert sharing.get(MID, "orders", max_age=10).asked_at == 93.0
    others.found = None
    assert sharing.get(MID, "orders", max_age=10).asked_at == 93.0
    assert service.calls == []
    clock.now = 103.5
    assert sharing.get(MID, "orders", max_age=10).asked_at == 103.5


def test_it_ends_with_its_time_to_live_since_it_was_asked_for(sharing, service, clock, others):
    clock.now = 100
    others.found = replace(ORDERS, asked_at=50.0)
    sharing.get(MID, "orders")
    others.found = None

    clock.now = 109.9
    assert sharing.known(MID, "orders") is not None
    clock.now = 110
    assert sharing.known(MID, "orders") is None


def test_what_another_process_read_is_known(sharing, service, others):
    others.found = replace(ORDERS, asked_at=-5.0)

    assert sharing.known(MID, "orders") == ORDERS
    others.found = None
    assert sharing.known(MID, "orders").asked_at == -5.0
    assert service.calls == []


def test_what_this_process_read_is_shared_with_a_time_before_its_question(sharing, service, others):
    sharing.get(MID, "ORDERS")

    assert [(list(asked_for), at) for asked_for, at in others.shared] == [(["ORDERS"], 7)]
    assert others.looks == [("ORDERS", float("inf"))]


def test_what_no_other_process_has_read_is_looked_for_once_until_it_was_read(sharing, service, others):
    assert [sharing.known(MID, "orders") for _ in range(2)] == [None] * 2
    others.time = 9
    assert sharing.get(MID, "orders", max_age=10) == ORDERS

    assert others.looks == [("orders", float("inf"))]
    assert [at for _, at in others.shared] == [7], "it was asked for after the look"


def test_what_another_process_reads_meanwhile_is_found_after_a_second(sharing, service, clock, others):
    sharing.known(MID, "orders")
    others.found = replace(ORDERS, asked_at=0.0)
    clock.now = 0.9
    assert sharing.known(MID, "orders") is None

    clock.now = 1.0
    assert sharing.known(MID, "orders") == ORDERS
    assert service.calls == []


def test_one_that_is_too_old_for_one_start_is_known_to_the_next(sharing, service, others):
    service.fail("definition", NotApplied("reset", "…"))
    sharing.get(MID, "orders", max_age=10)
    others.found = replace(ORDERS, asked_at=-20.0)

    assert sharing.known(MID, "orders") == ORDERS


def test_only_so_many_are_remembered_as_not_there(sharing, others):
    for number in range(MAX_LOOKED + 1):
        sharing.known(MID, f"k{number}")
    sharing.known(MID, "k0")

    assert len(others.looks) == MAX_LOOKED + 2


def test_nothing_is_shared_while_the_time_of_redis_is_not_known(sharing, others):
    others.time = None
    sharing.get(MID, "orders")
    sharing.all_of(MID)

    assert (others.shared, others.lists) == ([], [])


def test_a_key_that_is_not_there_is_forgotten_by_all_and_a_failure_is_not(sharing, service, others):
    sharing.get(MID, "absent")
    service.fail("definition", Rejected("4", "no access"))
    sharing.get(MID, "refused")
    service.fail("definition", NotApplied("reset", "…"))
    sharing.get(MID, "orders")

    assert others.forgotten == ["absent", "refused"]
    assert others.shared == []


def test_what_is_forgotten_is_read_again(sharing, service, others):
    sharing.get(MID, "orders")
    sharing.forget(MID, "orders")
    sharing.get(MID, "orders")

    assert len(service.calls) == 2
    assert others.forgotten == ["orders"]


def test_what_somebody_wants_read_again_is_not_given_from_memory(sharing, service, clock, others):
    sharing.get(MID, "orders")
    clock.now, others.outdated_at = 1, 0.5
    sharing.get(MID, "orders")
    sharing.get(MID, "orders")

    assert len(service.calls) == 2
    others.outdated_at = 1
    assert sharing.known(MID, "orders") is None


def test_a_list_of_all_definitions_is_shared(sharing, others):
    sharing.all_of(MID)

    assert others.lists == [([ORDERS], 7)]


def test_a_definition_by_its_object_is_asked_of_the_service(sharing, service, others):
    service.add(Definition(customer_key="by-id", object_id="o-9"))
    sharing.get(MID, "o-9", object_id="o-9")

    assert others.looks == []

"""One token for all processes of an account: asked for once, waited for, and replaced when it is refused."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from structlog.testing import capture_logs

from sfmc_import.faults import NotApplied
from sfmc_import.ledger.token_keys import TOKEN_LEASE
from sfmc_import.marketing_cloud import PlainSecret
from sfmc_import.marketing_cloud.http import Reply
from sfmc_import.marketing_cloud.login import QUOTED_SECONDS, Token, TokenSource, Want
from sfmc_import.marketing_cloud.shared_tokens import AWAY_SECONDS, QUIET_SECONDS
from sfmc_import.ports import LedgerUnavailableError
from sfmc_import.redaction import hidden
from tests.support.token_account import CONFIG, MID, OTHER_KEY


def test_what_one_process_was_given_the_others_use(account):
    first = account.process(1000.0).get()
    others = [account.process(began).get() for began in (5.0, 1_000_000.0)]

    assert [each.secret for each in others] == [first.secret] * 2
    assert len(account.endpoint.orders) == 1


def test_a_token_is_in_redis_neither_as_text_nor_with_the_login(account):
    account.process().get()

    [name] = account.names()
    text = account.world.client.get(name).decode()
    for secret in ("the-token-1", "the-client", "the-secret", "access"):
        assert secret not in name + text
    assert 0 < account.world.client.pttl(name) <= 1_000_000


def test_in_every_process_a_token_ends_no_later_than_it_does(account):
    first = account.process(1000.0)
    first.get()
    account.advance(700)
    second = account.process(5.0)
    found = second.get()

    assert (found.renew_at, found.dies_at) == (second.clock() + 100, second.clock() + 300)
    account.advance(100)
    assert second.get().secret == "the-token-2"
    assert first.get().secret == "the-token-2"
    assert len(account.endpoint.orders) == 2


def test_a_process_that_finds_a_token_near_its_end_asks_for_the_next(account):
    account.process().get()
    account.advance(900)

    assert account.process().get().secret == "the-token-2"


def test_a_token_near_its_end_is_used_when_there_is_no_next(account):
    account.process().get()
    account.advance(900)
    account.endpoint.answers = [Reply(500, {}, b"")]

    assert account.process().get().secret == "the-token-1"


@pytest.mark.parametrize("status", [503, 401])
def test_a_renewal_that_fails_lets_the_token_endpoint_rest(account, status):
    process = account.process()
    process.get()
    account.advance(900)
    account.endpoint.answers = [Reply(status, {}, b"")]

    assert [process.get().secret for _ in range(3)] == ["the-token-1"] * 3
    assert len(account.endpoint.orders) == 2


@pytest.mark.parametrize("had_it_before", [True, False])
def test_while_another_process_renews_a_valid_token_is_used_without_waiting(account, had_it_before):
    process = account.process()
    process.get() if had_it_before else account.process().get()
    account.advance(900)
    account.lease()

    assert process.get().secret == "the-token-1"
    assert process.waited == 0
    assert len(account.endpoint.orders) == 1


def test_while_another_process_renews_redis_is_asked_once_a_second(account):
    ledger = Counting(account.world.ledger.tokens())
    process = account.process(ledger=ledger)
    process.get()
    account.advance(900)
    account.lease()
    ledger.looks = 0
    for _ in range(5):
        process.get()
    assert ledger.looks == 1

    account.unlease()
    account.advance(QUIET_SECONDS)
    assert process.get().secret == "the-token-2"


class Counting:
    """A ledger that counts the looks."""

    def __init__(self, ledger) -> None:
        self._ledger, self.looks = ledger, 0

    def look(self, *args, **more):
        self.looks += 1
        return self._ledger.look(*args, **more)

    def __getattr__(self, name):
        return getattr(self._ledger, name)


def test_a_process_waits_for_the_token_that_another_one_asks_for(account):
    account.lease()
    first, second = account.process(), account.process()

    def comes():
        if second.waited > 1:
            account.unlease()
            first.get()

    second.while_waiting = comes
    assert second.get().secret == "the-token-1"
    assert 1 < second.waited < 3
    assert len(account.endpoint.orders) == 1


def test_a_process_that_died_while_it_asked_is_waited_for_until_its_lease_ends(account):
    account.lease()
    process = account.process()
    process.while_waiting = lambda: process.waited > 2 and account.unlease()

    assert process.get().secret == "the-token-1"
    assert 2 < process.waited < 4


def test_a_process_waits_for_a_part_of_its_time_and_then_asks_for_itself(account):
    account.lease()
    process = account.process()

    assert process.get(seconds=10.0).secret == "the-token-1"
    assert 4 < process.waited <= 6
    assert account.process().get().secret == "the-token-1"


def test_of_a_long_time_enough_is_left_to_ask(account):
    account.lease()
    process = account.process()
    process.get(seconds=60.0)

    left = 60 - process.waited - CONFIG.connect_timeout - CONFIG.token_timeout
    assert -1 < left < 2


def test_a_process_that_ends_does_not_look_without_end(account):
    account.lease()
    ledger = Counting(account.world.ledger.tokens())
    process = account.process(ledger=ledger, pause=lambda _: None)

    assert process.get(seconds=60.0).secret == "the-token-1"
    assert 10 < ledger.looks < 150


class Away:
    """A ledger that Redis does not answer so many times, when one method is called."""

    def __init__(self, ledger, method: str = "look", times: int = 1000) -> None:
        self._ledger, self._method, self.times, self.asked = ledger, method, times, 0

    def __getattr__(self, name):
        if name != self._method or self.asked >= self.times:
            return getattr(self._ledger, name)
        self.asked += 1
        raise LedgerUnavailableError("the-token-1 away")


@pytest.mark.parametrize("method", ["look", "share"])
def test_without_redis_a_process_asks_for_itself_as_ever(account, method):
    ledger = Away(account.world.ledger.tokens(), method)
    process = account.process(ledger=ledger)
    with capture_logs() as logged:
        assert process.get().secret == "the-token-1"
        assert process.tokens.renew(MID, process.get(), 60).secret == "the-token-2"

    assert ledger.asked == 1
    assert [each["event"] for each in logged] == ["tokens_not_shared"]
    assert "the-token" not in str(logged)
    account.advance(AWAY_SECONDS)
    process.tokens.renew(MID, process.get(), 60)
    assert ledger.asked == 2


def test_a_token_that_was_refused_is_replaced_for_all(account):
    one, two, three = (account.process() for _ in range(3))
    refused = [each.get() for each in (one, two, three)]

    assert one.tokens.renew(MID, refused[0], 60).secret == "the-token-2"
    assert two.tokens.renew(MID, refused[1], 60).secret == "the-token-2"
    assert account.process().get().secret == "the-token-2"
    assert three.tokens.renew(MID, refused[2], 60).secret == "the-token-2"
    assert len(account.endpoint.orders) == 2


def test_a_token_that_was_refused_is_given_to_no_process_while_the_next_one_does_not_come(account):
    one = account.process()
    refused = one.get()
    account.endpoint.answers = [Reply(500, {}, b"")]

    assert isinstance(one.tokens.renew(MID, refused, 60), NotApplied)
    assert account.names() == []


def test_a_refused_token_is_known_again_whoever_sealed_it(account):
    alone = TokenSource(CONFIG, account.endpoint, account.process().clock)
    account.endpoint.answers = [Reply(200, {}, b'{"access_token": "one-and-the-same"}')] * 2
    refused = alone.get(MID, 60)
    process = account.process()
    account.process().get()

    assert process.tokens.renew(MID, refused, 60).secret == "the-token-3"


def test_the_refusal_of_a_token_of_its_own_does_not_delete_the_shared_one(account):
    ledger = Away(account.world.ledger.tokens(), times=0)
    process = account.process(ledger=ledger)
    process.get()
    account.advance(900)
    ledger.times = 1
    own = process.get()
    account.advance(AWAY_SECONDS)
    account.endpoint.answers = [Reply(500, {}, b"")]

    assert own.secret == "the-token-2"
    assert process.tokens.renew(MID, own, 60).secret == "the-token-1"


def test_a_thread_that_was_refused_is_not_given_what_another_thread_goes_on_with(account):
    process = account.process()
    refused = process.get()
    account.advance(900)
    account.lease()
    refresh = process.tokens._refresh(MID)
    asked = refresh.answers
    assert process.get() is refused
    process.while_waiting = account.unlease

    assert refresh.refresh(asked, 60, Want(refused=refused)).secret == "the-token-2"


def test_the_business_unit_of_the_settings_has_one_token_whether_it_is_named_or_not(account):
    process = account.process()

    assert process.get("").secret == process.get(MID).secret == "the-token-1"
    assert process.get("42").secret == "the-token-2"


@pytest.mark.parametrize(
    "more", [{"key": OTHER_KEY}, {"client_id": "o"}, {"client_secret": PlainSecret("wrong")}, {"prefix": "acme:"}]
)
def test_who_has_another_key_or_login_has_a_token_of_its_own(account, more):
    first, other = account.process(), account.process(**more)

    assert [first.get().secret, other.get().secret] == ["the-token-1", "the-token-2"]
    assert [account.process().get().secret, account.process(**more).get().secret] == ["the-token-1", "the-token-2"]


@pytest.mark.parametrize("answer", [Reply(500, {}, b""), Reply(401, {}, b"")])
def test_after_a_failure_another_process_may_ask_at_once(account, answer):
    account.endpoint.answers = [answer] * 3
    assert isinstance(account.process().get(), NotApplied)
    account.endpoint.answers = []
    other = account.process()

    assert isinstance(other.get(), Token)
    assert other.waited == 0


def test_a_token_of_its_own_that_lives_longer_is_not_given_up_for_one_of_redis(account):
    process = account.process(ledger=Away(account.world.ledger.tokens(), times=1))
    account.process().get()
    account.advance(100)
    assert process.get().secret == "the-token-2"
    account.advance(850)
    account.lease()

    assert [process.get().secret for _ in range(2)] == ["the-token-2"] * 2


def test_after_a_defect_another_process_may_ask_at_once(account):
    account.endpoint.answers = [RuntimeError("a defect")]
    with pytest.raises(RuntimeError):
        account.process().get()

    assert account.names(TOKEN_LEASE) == []


def test_whether_the_login_works_is_asked_of_the_service_and_not_of_redis(account):
    account.process().get()
    refuses = Reply(401, {}, b'{"error": "invalid_client"}')
    account.endpoint.answers = [refuses] * 2

    fault = account.process().get("42")

    assert fault.code == "login_failed"
    assert [order["account_id"] for order in account.endpoint.orders] == [MID, "42", MID]


def test_many_threads_of_many_processes_make_one_request(account):
    processes = [account.process(pause=threading.Event().wait) for _ in range(4)]
    with ThreadPoolExecutor(8) as threads:
        given = set(threads.map(lambda number: processes[number % 4].get().secret, range(32)))

    assert given == {"the-token-1"}
    assert len(account.endpoint.orders) == 1


def test_who_was_too_slow_does_not_replace_the_token_of_another_process(account):
    slow, quick = account.process(), account.process()

    def overtaken():
        account.endpoint.meanwhile = str
        account.unlease()
        quick.get()

    account.endpoint.meanwhile = overtaken
    assert slow.get().secret == "the-token-1"
    assert quick.get().secret == "the-token-2"
    assert account.process().get().secret == "the-token-2"


def test_a_token_from_redis_is_hidden_in_every_text_until_it_has_long_ended(account):
    account.endpoint.answers = [Reply(200, {}, b'{"access_token": "only-seen-in-redis", "expires_in": 1000}')]
    maker, process = account.process(), account.process()
    maker.get()
    process.get()

    assert "only-seen-in-redis" not in hidden("it was only-seen-in-redis") + repr(process.get())
    account.advance(1001 + QUOTED_SECONDS)
    for each in (process, maker):
        each.get()
        each.get("42")
    assert hidden("it was only-seen-in-redis") == "it was only-seen-in-redis"

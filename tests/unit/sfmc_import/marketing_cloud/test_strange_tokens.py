"""What Redis holds as a token and this login did not seal, or no longer counts, is used by no process."""

import pytest
from structlog.testing import capture_logs

from sfmc_import.faults import NotApplied
from sfmc_import.marketing_cloud.http import Reply
from sfmc_import.sealing import Seal
from tests.support.token_account import KEY, MID, OTHER_KEY, Account, Process


def text_of(account: Account, process: Process, mid: str = MID) -> bytes:
    """What a process puts into Redis, which is wiped then."""
    process.get(mid)
    [text] = [account.world.client.get(name) for name in account.names() if f":{mid}:" in name]
    account.world.client.delete(*account.names())
    return text


STRANGE = {
    "nothing": lambda _: b"",
    "no seal": lambda _: b"the-token-1",
    "no text": lambda _: b"\xff\xfe",
    "a stump": lambda _: b"1.AAAA",
    "no base64": lambda _: b"1.*" + b"A" * 80,
    "another version": lambda account: b"2" + text_of(account, account.process())[1:],
    "one letter changed": lambda account: text_of(account, account.process())[:-5] + b"AAAA=",
    "of another key": lambda account: text_of(account, account.process(key=OTHER_KEY)),
    "of another business unit": lambda account: text_of(account, account.process(), "42"),
    "of another client": lambda account: text_of(account, account.process(client_id="other")),
    "of another tenant": lambda account: text_of(account, account.process(auth_url="https://o.auth.example/")),
    "of another deployment": lambda account: text_of(account, account.process(prefix="acme:")),
    "too long": lambda _: b"1." + b"A" * 20_000,
}


@pytest.mark.parametrize("kind", STRANGE)
def test_what_this_login_did_not_seal_is_passed_over_and_replaced(account, kind):
    name = account.name_of()
    account.world.client.set(name, strange := STRANGE[kind](account), px=60_000)
    with capture_logs() as logged:
        found = account.process().get()

    assert found.secret == f"the-token-{len(account.endpoint.orders)}"
    assert account.world.client.get(name) not in {strange, None}
    assert account.process().get().secret == found.secret
    warned = [each for each in logged if each["event"] == "shared_token_unreadable"]
    assert warned == [{"event": "shared_token_unreadable", "log_level": "warning", "mid": MID}] * bool(strange)


@pytest.mark.parametrize("passed", [1000.0, 5000.0, -1.0])
def test_a_token_that_has_ended_or_is_of_the_future_is_passed_over(account, passed):
    name = account.name_of()
    old = text_of(account, account.process())
    account.world.advance(passed)
    account.world.client.set(name, old, px=60_000)
    account.endpoint.answers = [Reply(401, {}, b"")]

    assert isinstance(account.process().get(), NotApplied)
    assert account.process().get().secret == "the-token-3"


@pytest.mark.parametrize(
    "said",
    [b"", b"{", b"[]", b'{"token": 7, "at": 1, "renew_at": 2, "dies_at": 3}',
     b'{"token": "t", "at": 1.5, "renew_at": 2, "dies_at": 3}', b'{"token": "t", "at": true}',
     b'{"token": "\\n", "at": 1800000000000, "renew_at": 1800000000900, "dies_at": 1800000001000}',
     b'{"token": "t", "at": 1800000000000, "renew_at": 1899999999999, "dies_at": 1900000000000}'],
)  # fmt: skip
def test_what_another_version_may_have_sealed_is_passed_over(account, said):
    name = account.name_of()
    shared = account.process().tokens._share(MID, str)
    account.world.client.set(name, Seal(KEY).close(said, shared._about), px=60_000)

    assert account.process().get().secret == "the-token-1"

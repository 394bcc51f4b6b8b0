"""Who is believed: signatures and tokens as senders make them, and everything that is a little wrong."""

import base64
import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sfmc_import.errors import SettingsError
from sfmc_server.authentication import (
    BearerTokens,
    Everybody,
    HmacSignatures,
    Received,
    StandardWebhooks,
    Verifier,
    read_secrets,
)
from sfmc_server.webhook_keys import SharedKey, webhook_key
from tests.support import posts
from tests.support.push_servers import pushing

NOW = 1_767_582_600
OLD, NEW = b"old key of the sender 24b", b"new key of the sender 24b"
TOKEN = "token-of-the-sender-1"


def received(body: bytes = b"{}", query: dict[str, str] | None = None, **headers: str) -> Received:
    return Received({name.replace("_", "-"): value for name, value in headers.items()}, query or {}, body)


def signature(key: bytes, body: bytes = b"{}", message_id: str = "msg_1", time: int = NOW) -> str:
    return "v1," + base64.b64encode(hmac.digest(key, f"{message_id}.{time}.".encode() + body, "sha256")).decode()


def webhook(given: str, body: bytes = b"{}", message_id: str = "msg_1", time: object = NOW) -> Received:
    return received(body, webhook_id=message_id, webhook_timestamp=str(time), webhook_signature=given)


@pytest.fixture
def webhooks() -> StandardWebhooks:
    return StandardWebhooks([SharedKey(OLD), SharedKey(NEW)], 300.0, lambda: float(NOW))


@pytest.mark.parametrize("key", [OLD, NEW])
def test_a_webhook_is_accepted_under_each_secret_while_it_changes(webhooks: StandardWebhooks, key: bytes) -> None:
    assert webhooks.accepts(webhook(signature(key)))
    assert webhooks.accepts(webhook(f"v1a,xyz v1,AAAA {signature(key)}"))


def asymmetric(key: Ed25519PrivateKey, body: bytes = b"{}", message_id: str = "msg_1", time: int = NOW) -> str:
    return "v1a," + base64.b64encode(key.sign(f"{message_id}.{time}.".encode() + body)).decode()


def public(key: Ed25519PrivateKey) -> str:
    return "whpk_" + base64.b64encode(key.public_key().public_bytes_raw()).decode()


def test_a_webhook_is_accepted_under_the_public_keys_of_its_sender_beside_a_secret_while_they_change() -> None:
    old, new, other = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2, 3))
    secrets = read_secrets("drop", f"{public(old)} {public(new)} whsec_{base64.b64encode(OLD).decode()}", webhooks=True)
    hooks = StandardWebhooks([webhook_key(each) for each in secrets], 300.0, lambda: float(NOW))

    for good in (asymmetric(old), asymmetric(new), f"v1,AAAA v1a,AAAA {asymmetric(new)}", signature(OLD)):
        assert hooks.accepts(webhook(good))
    wrong = [
        webhook(asymmetric(other)),
        webhook(asymmetric(old), body=b"{ }"),
        webhook(asymmetric(old), message_id="msg_2"),
        webhook(asymmetric(old), time=NOW + 1),
        webhook(asymmetric(old, time=NOW - 301), time=NOW - 301),
        webhook(asymmetric(old).replace("v1a,", "v1,")),
        webhook(signature(OLD).replace("v1,", "v1a,")),
        webhook("v1a,é"),
        webhook("v1a,"),
    ]
    assert [hooks.accepts(each) for each in wrong] == [False] * len(wrong)


def test_a_public_key_is_no_secret_that_an_hmac_is_made_of() -> None:
    key = Ed25519PrivateKey.from_private_bytes(b"1" * 32)
    hooks = StandardWebhooks([webhook_key(public(key))], 300.0, lambda: float(NOW))

    assert not hooks.accepts(webhook(signature(key.public_key().public_bytes_raw())))


def test_a_webhook_whose_body_id_time_or_signature_differs_is_refused(webhooks: StandardWebhooks) -> None:
    good = signature(OLD)
    wrong = [
        webhook(good, body=b"{ }"),
        webhook(good, message_id="msg_2"),
        webhook(good, time=NOW + 1),
        webhook(signature(b"key of somebody else 123")),
        webhook(good.removeprefix("v1,")),
        webhook("v1,"),
        webhook(""),
        received(),
    ]
    assert [webhooks.accepts(each) for each in wrong] == [False] * len(wrong)


@pytest.mark.parametrize("time", [NOW - 301, NOW + 301, "", "-1", "1e9", "1767582600.0", "9" * 40, "١٧٦٧٥٨٢٦٠٠"])
def test_a_webhook_with_an_old_a_future_or_an_odd_time_is_refused(webhooks: StandardWebhooks, time: object) -> None:
    given = "v1," + base64.b64encode(hmac.digest(OLD, f"msg_1.{time}.".encode() + b"{}", "sha256")).decode()
    assert not webhooks.accepts(webhook(given, time=time))


def test_a_webhook_that_is_posted_again_with_its_id_starts_nothing_new() -> None:
    body = posts.packed(posts.cloudevent())
    with pushing(StandardWebhooks([SharedKey(OLD)], 300.0, lambda: float(NOW)), auth="standard-webhooks") as push:
        for time in (NOW, NOW, NOW + 30):
            headers = {"webhook_id": "msg_1", "webhook_timestamp": str(time)}
            answer = push.post(body, **headers, webhook_signature=signature(OLD, body, time=time))
            assert answer.status_code == 200
        assert len(push.client.requests) == 1


def test_a_hex_signature_is_accepted_after_its_prefix_in_its_header_alone() -> None:
    hooks = HmacSignatures(["secret-of-the-sender"], "x-hub-signature-256", "sha256=")
    digest = hmac.new(b"secret-of-the-sender", b"{}", hashlib.sha256).hexdigest()

    assert hooks.accepts(received(x_hub_signature_256=f"sha256={digest}"))
    assert hooks.accepts(received(x_hub_signature_256=f"sha256={digest.upper()}"))
    wrong = [
        received(x_hub_signature_256=digest),
        received(x_hub_signature_256="sha256="),
        received(x_hub_signature_256=f"sha256={digest[:-1]}"),
        received(b"{ }", x_hub_signature_256=f"sha256={digest}"),
        received(x_signature=f"sha256={digest}"),
        received(),
    ]
    assert [hooks.accepts(each) for each in wrong] == [False] * len(wrong)


def test_a_token_counts_in_the_header_and_in_the_query_only_where_that_is_allowed() -> None:
    tokens, anywhere = (BearerTokens([TOKEN], in_query=in_query) for in_query in (False, True))

    assert tokens.accepts(received(authorization=f"bearer {TOKEN}"))
    assert anywhere.accepts(received(query={"access_token": TOKEN}))
    assert not tokens.accepts(received(query={"access_token": TOKEN}))
    for wrong in ("", TOKEN, "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer \udcff"):
        assert not anywhere.accepts(received(authorization=wrong))


@pytest.mark.parametrize("text", ["", "  ", "short", "long-enough-secret-1 short"])
def test_an_empty_or_short_secret_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(SettingsError, match="SFMC_SOURCE_MY_DROP_SECRET"):
        read_secrets("my-drop", text, webhooks=False)


@pytest.mark.parametrize("text", ["whsec_", "whsec_###", "whsec_c2hvcnQ=", "whpk_c2hvcnQ=", "whpk_é", "whsk_c2hvcnQ="])
def test_a_secret_that_is_no_webhook_secret_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_secrets("drop", text, webhooks=True)
    assert "c2hvcnQ" not in str(refused.value)


def test_the_key_of_a_webhook_secret_is_its_decoded_bytes() -> None:
    assert webhook_key("whsec_" + base64.b64encode(OLD).decode()) == SharedKey(OLD)


@pytest.mark.parametrize(
    "verifier",
    [
        BearerTokens([TOKEN], in_query=True),
        HmacSignatures([TOKEN], "x-signature", ""),
        StandardWebhooks([SharedKey(OLD)], 1, int),
    ],
    ids=["bearer", "hmac", "webhooks"],
)
def test_whoever_is_not_known_gets_401_without_a_reason_and_leaves_nothing(verifier: Verifier) -> None:
    with pushing(verifier) as push:
        answer = push.post(b"{")
        assert answer.status_code == 401
        assert answer.json() == {"type": "about:blank", "title": "Unauthorized", "status": 401}
        assert (push.client.requests, push.letters.kept) == ({}, {})


def test_without_a_login_everybody_is_accepted() -> None:
    assert Everybody().accepts(received())

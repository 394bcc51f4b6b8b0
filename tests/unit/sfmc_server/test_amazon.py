"""Messages of SNS: believed only with a signature of the host of a configured topic, which alone is ever asked."""

import base64
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from sfmc_producers.push import sns
from sfmc_server.amazon import SnsMessages
from sfmc_server.fetching import FetchError
from tests.support import posts
from tests.support.push_servers import Push, pushing

TOPIC = "arn:aws:sns:eu-central-1:111122223333:drop"
HOST = "https://sns.eu-central-1.amazonaws.com"


def certificate(key: RSAPrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    begin = datetime(2026, 1, 1)  # noqa: DTZ001 - the library takes UTC
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, begin, begin + timedelta(days=3650))
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM)


@dataclass
class Amazon:
    """Signs messages; `asked` are the addresses that were fetched."""

    key: RSAPrivateKey
    asked: list[str] = field(default_factory=list)
    is_down: bool = False

    def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        if self.is_down:
            raise FetchError("sns.eu-central-1.amazonaws.com: timed out")
        return certificate(self.key) if url.endswith(".pem") else b"<ConfirmSubscriptionResponse/>"

    def signed(self, message: Any = None, **changes: Any) -> dict[str, Any]:
        envelope = posts.sns_envelope(message or {"Records": [posts.s3_record()]}, TOPIC, **changes)
        hashed = SHA1() if envelope["SignatureVersion"] == "1" else SHA256()
        signature = self.key.sign(sns.signed_text(envelope), PKCS1v15(), hashed)
        return {**envelope, "Signature": base64.b64encode(signature).decode()}

    def confirmation(self, **changes: Any) -> dict[str, Any]:
        url = f"{HOST}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336412f37"
        given = {"Type": "SubscriptionConfirmation", "Token": "2336412f37", "SubscribeURL": url, **changes}
        return self.signed("You have chosen to subscribe", **given)


@pytest.fixture(scope="module")
def key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


@pytest.fixture
def amazon(key: RSAPrivateKey) -> Amazon:
    return Amazon(key)


@pytest.fixture
def push(amazon: Amazon):
    messages = SnsMessages(frozenset({TOPIC}), amazon.fetch, lambda: 0.0)
    with pushing(messages, form="sns", auth=None, topics=[TOPIC]) as made:
        yield made


def post(push: Push, envelope: Any) -> int:
    return push.post(json.dumps(envelope).encode(), content_type="text/plain; charset=UTF-8").status_code


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_notification_is_accepted_by_either_signature_and_its_certificate_is_fetched_once(
    push, amazon, version
) -> None:
    assert [post(push, amazon.signed(SignatureVersion=version)) for _ in range(2)] == [200, 200]
    assert push.client.started == [("orders.csv", "orders")]
    assert amazon.asked == [f"{HOST}/SimpleNotificationService-0a1b.pem"]


def test_a_notification_without_a_subject_is_accepted(push, amazon) -> None:
    assert post(push, amazon.signed(Subject=None)) == 200


@pytest.mark.parametrize(
    "change",
    [
        {"Message": "{}"},
        {"MessageId": "other"},
        {"SignatureVersion": "1"},
        {"SignatureVersion": "3"},
        {"Signature": "AAAA"},
    ],
    ids=str,
)
def test_a_changed_notification_is_401(push, amazon, change: dict[str, str]) -> None:
    assert post(push, amazon.signed() | change) == 401
    assert push.client.requests == {}


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0a1b.pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0a1b.pem",
        "https://sns.eu-central-1.amazonaws.com.evil.example/SimpleNotificationService-0a1b.pem",
        "https://sns.eu-central-1.amazonaws.com@evil.example/SimpleNotificationService-0a1b.pem",
        "https://sns.eu-central-1.amazonaws.com:8443/SimpleNotificationService-0a1b.pem",
        "https://evil.example/?x=https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-0a1b.pem",
        "https://sns.eu-central-1.amazonaws.com\\.evil.example/SimpleNotificationService-0a1b.pem",
        "https://sns.eu-central-1.amazonaws.com/../SimpleNotificationService-0a1b.pem",
        "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription",
        "https://169.254.169.254/SimpleNotificationService-0a1b.pem",
        None,
        7,
    ],
)
def test_a_certificate_elsewhere_is_never_fetched(push, amazon, url: object) -> None:
    assert post(push, amazon.signed() | {"SigningCertURL": url}) == 401
    assert amazon.asked == []


@pytest.mark.parametrize("topic", ["arn:aws:sns:eu-central-1:999999999999:drop", "", None, 7])
def test_another_topic_is_401_and_nothing_is_asked(push, amazon, topic: object) -> None:
    assert post(push, amazon.signed() | {"TopicArn": topic}) == 401
    assert amazon.asked == []


def test_a_subscription_of_a_configured_topic_is_confirmed(push, amazon) -> None:
    assert post(push, amazon.confirmation()) == 200
    assert amazon.asked[1:] == [f"{HOST}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336412f37"]


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/?Action=ConfirmSubscription",
        f"{HOST}/?Action=DeleteTopic&TopicArn={TOPIC}",
        f"{HOST}/?Action=ConfirmSubscription&TopicArn=arn:aws:sns:eu-central-1:999999999999:other",
    ],
)
def test_a_subscription_is_not_confirmed_at_another_address_even_if_it_is_signed(push, amazon, url: str) -> None:
    assert post(push, amazon.confirmation(SubscribeURL=url)) == 400
    assert len(amazon.asked) == 1


def test_a_confirmation_that_is_not_signed_asks_no_one(push, amazon) -> None:
    assert post(push, amazon.confirmation() | {"Token": "other"}) == 401
    assert [url for url in amazon.asked if "Action" in url] == []


def test_while_amazon_does_not_answer_the_message_is_asked_for_again(push, amazon) -> None:
    amazon.is_down = True
    assert post(push, amazon.signed()) == 503


def test_forged_messages_make_us_ask_for_certificates_only_ten_times_a_minute(push, amazon) -> None:
    amazon.is_down = True
    for number in range(20):
        post(push, amazon.signed() | {"SigningCertURL": f"{HOST}/SimpleNotificationService-{number}.pem"})
    assert len(amazon.asked) == 10


def test_raw_delivery_is_refused_for_it_is_not_signed(push) -> None:
    assert post(push, {"Records": [posts.s3_record()]}) == 401

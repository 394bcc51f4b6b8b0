"""Messages of Amazon SNS: signed with a certificate of its own host, of the topics that are configured."""

import base64
import binascii
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from sfmc_producers.push import sns
from sfmc_producers.push.posts import NotReadableError, Post, UnusablePostError
from sfmc_server.authentication import NotNowError, Received
from sfmc_server.fetching import Fetch, FetchError

HASHES = {"1": SHA1, "2": SHA256}
MAX_KEPT = 16
MAX_FETCHES, FETCHES_SECONDS = 10, 60.0
"""A forged message can name certificates that are not there: so many are asked for in so long."""

log = structlog.get_logger("sfmc_server.amazon")


@dataclass
class SnsMessages:
    """Believes messages of `topics` alone; safe for threads."""

    topics: Collection[str]
    fetch: Fetch
    clock: Callable[[], float]
    _keys: dict[str, RSAPublicKey] = field(default_factory=dict)
    _fetches: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_FETCHES))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def accepts(self, received: Received) -> bool:
        """Check topic, place of the certificate and signature, in this order."""
        try:
            envelope = sns.envelope_of(Post(received.headers, received.raw))
            topic, url = envelope.get("TopicArn"), envelope.get("SigningCertURL")
            if not isinstance(topic, str) or topic not in self.topics or not isinstance(url, str):
                return False
            if not sns.is_certificate_url(url, topic):
                return False
            return self._is_signed(envelope, self._key(url))
        except (UnusablePostError, NotReadableError):
            return False

    def confirm(self, envelope: Mapping[str, Any]) -> bool:
        """Confirm the subscription of a message that was accepted; False when the address is not one of SNS.

        Raises NotNowError when SNS does not answer.
        """
        topic, url = envelope["TopicArn"], envelope.get("SubscribeURL")
        if not isinstance(url, str) or not sns.is_subscribe_url(url, topic):
            return False
        try:
            self.fetch(url)
        except FetchError as error:
            log.warning("subscription_not_confirmed", topic=topic, reason=str(error))
            raise NotNowError from None
        log.info("subscription_confirmed", topic=topic)
        return True

    def _is_signed(self, envelope: Mapping[str, Any], key: RSAPublicKey) -> bool:
        hashed = HASHES.get(str(envelope.get("SignatureVersion")))
        if hashed is None:
            return False
        try:
            signature = base64.b64decode(str(envelope.get("Signature")), validate=True)
            key.verify(signature, sns.signed_text(envelope), PKCS1v15(), hashed())
        except (InvalidSignature, binascii.Error):
            return False
        return True

    def _key(self, url: str) -> RSAPublicKey:
        # Without the lock: a message that waits for a certificate holds up no other.
        if (known := self._keys.get(url)) is not None:
            return known
        with self._lock:
            found = self._keys.get(url) or self._fetched(url)
            self._keys[url] = found
            if len(self._keys) > MAX_KEPT:
                self._keys.pop(next(iter(self._keys)))
            return found

    def _fetched(self, url: str) -> RSAPublicKey:
        now = self.clock()
        if len(self._fetches) == MAX_FETCHES and now - self._fetches[0] < FETCHES_SECONDS:
            raise NotNowError
        self._fetches.append(now)
        try:
            key = x509.load_pem_x509_certificate(self.fetch(url)).public_key()
        except (FetchError, ValueError) as error:
            log.warning("certificate_unavailable", reason=str(error))
            raise NotNowError from None
        if not isinstance(key, RSAPublicKey):
            raise NotNowError
        return key

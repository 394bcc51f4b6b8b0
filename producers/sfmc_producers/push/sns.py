"""The form `sns`: notifications of S3 that a topic of Amazon SNS posts; what of them is signed, and whose they are."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sfmc_producers.push import s3
from sfmc_producers.push.posts import Form, Post, UnusablePostError, inside, json_of, text_at
from sfmc_producers.sources.s3_events import NOTIFICATION, enveloped

TOPIC = re.compile(r"arn:(aws|aws-cn|aws-us-gov):sns:([a-z0-9-]+):\d{12}:[A-Za-z0-9_.-]+")
CONFIRMATION = "SubscriptionConfirmation"
_SIGNED = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    CONFIRMATION: ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
_SIGNED["UnsubscribeConfirmation"] = _SIGNED[CONFIRMATION]
_CERTIFICATE = re.compile(r"/SimpleNotificationService-[A-Za-z0-9]+\.pem")


def envelope_of(post: Post) -> Mapping[str, Any]:
    """Give the envelope; its media type says text/plain, so it is not asked."""
    value = json_of(post.body)
    if not isinstance(value, Mapping) or inside(value, "Type") not in _SIGNED:
        raise UnusablePostError("this is no message of SNS; raw delivery is not signed, switch it off", 415)
    return value


def signed_text(envelope: Mapping[str, Any]) -> bytes:
    """Give what is signed: names and values in order, each on a line; a missing Subject is left out."""
    names = [each for each in _SIGNED[envelope["Type"]] if each != "Subject" or envelope.get(each) is not None]
    return "".join(f"{name}\n{text_at(envelope, name)}\n" for name in names).encode()


def host_of(topic: str) -> str:
    """Give the one host from which certificates and confirmations of a topic are taken."""
    found = TOPIC.fullmatch(topic)
    assert found is not None
    return f"sns.{found[2]}.amazonaws.com" + (".cn" if found[1] == "aws-cn" else "")


def is_certificate_url(url: str, topic: str) -> bool:
    """Tell whether an address is that of a signing certificate on the host of the topic."""
    return _is_on_host(url, topic) and _CERTIFICATE.fullmatch(urlsplit(url).path) is not None


def is_subscribe_url(url: str, topic: str) -> bool:
    """Tell whether an address confirms a subscription of exactly this topic on its host."""
    if not _is_on_host(url, topic):
        return False
    query = parse_qs(urlsplit(url).query)
    return query.get("Action") == ["ConfirmSubscription"] and query.get("TopicArn") == [topic]


def _is_on_host(url: str, topic: str) -> bool:
    """Compare the beginning of the text: nothing that a parser might read in another way is left."""
    return url.isascii() and url.isprintable() and url.startswith(f"https://{host_of(topic)}/") and "\\" not in url


def split(post: Post) -> Sequence[Any]:
    """Give the events of a notification, as a queue would bring them."""
    envelope = envelope_of(post)
    return enveloped(envelope) if envelope["Type"] == NOTIFICATION else []


FORM = Form(split, s3.read)

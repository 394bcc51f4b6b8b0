"""Each kind of notification over real sockets: what is sent, what the answers mean, and what a bad server can do."""

import base64
import hmac
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from sfmc_import.notifications import messages
from sfmc_import.notifications.mail import MAX_ANSWER_BYTES, Mail, Mailbox
from sfmc_import.notifications.messages import Message
from sfmc_import.notifications.opening import open_sender
from sfmc_import.notifications.posting import Poster
from sfmc_import.notifications.sending import NotSent, Sent
from sfmc_import.notifications.webhook import Webhook, read_key, signature
from sfmc_import.proxies import Proxies
from sfmc_import.settings import load
from sfmc_import.settings.notify_table import SlackTable, TeamsTable
from tests.support.notification_receivers import Answer, MailServer, Receiver, mail_server, receiving
from tests.support.tls_proxy import CERTIFICATE, tls_in_front_of
from tests.unit.sfmc_import.notifications.an_event import event

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
MESSAGE = messages.of_events([event(1, text="bröken")], 20)
PASSWORD = "a-secret-of-this-test"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def webhook(receiver: Receiver, *, seconds: float = 10, **more: Any) -> Webhook:
    return Webhook(Poster(receiver.url, seconds, True, Proxies()), [read_key(SECRET)], **more)


def test_a_webhook_carries_the_event_with_an_id_a_time_and_a_signature_over_all_of_them(receiver: Receiver) -> None:
    answer = webhook(receiver, now=lambda: 1772344800.9).send(MESSAGE)

    [posted] = receiver.posts
    signed = f"{posted.headers['webhook-id']}.{posted.headers['webhook-timestamp']}.".encode() + posted.body
    expected = base64.b64encode(hmac.digest(b"k" * 32, signed, "sha256")).decode()
    assert answer == Sent("HTTP 200: ok")
    assert posted.headers["webhook-signature"] == f"v1,{expected}"
    assert (posted.headers["webhook-id"], posted.headers["webhook-timestamp"]) == ("r1/1/import_failed", "1772344800")
    assert posted.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert posted.json == MESSAGE.cloud_event


def test_the_signature_is_that_of_the_specification() -> None:
    key = read_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = b'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}'

    assert signature(key, signed) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_with_two_secrets_a_receiver_that_knows_one_of_them_accepts_it(receiver: Receiver) -> None:
    poster = Poster(receiver.url, 10, True, Proxies())
    Webhook(poster, [b"a" * 24, b"b" * 24]).send(MESSAGE)

    assert [each[:3] for each in receiver.posts[0].headers["webhook-signature"].split(" ")] == ["v1,", "v1,"]


@pytest.mark.parametrize("wrong", ["", "whsec_", "whsec_!!", "abcd", SECRET.removeprefix("whsec_"), SECRET + SECRET])
def test_a_secret_that_is_none_is_refused_without_being_shown(wrong: str) -> None:
    with pytest.raises(ValueError, match="whsec_") as caught:
        read_key(wrong)
    assert not wrong.removeprefix("whsec_") or wrong not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "is_final"),
    [(400, True), (413, True), (401, False), (404, False), (410, False), (429, False), (503, False)],
)
def test_an_answer_that_no_retry_can_change_is_final(receiver: Receiver, status: int, *, is_final: bool) -> None:
    receiver.answers = [Answer(status, {"Retry-After": "7"}, b"no")]
    answer = webhook(receiver).send(MESSAGE)

    assert isinstance(answer, NotSent)
    assert (answer.is_final, answer.retry_after) == (is_final, 7.0)
    assert answer.text == f"http://127.0.0.1:{receiver.port} answered HTTP {status}: no"


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.answers = [Answer(307, {"Location": receiver.url})]
    answer = webhook(receiver).send(MESSAGE)

    assert isinstance(answer, NotSent)
    assert "redirects are not followed" in answer.text
    assert len(receiver.posts) == 1


def test_a_receiver_that_does_not_answer_is_left_after_the_time_for_it(receiver: Receiver) -> None:
    gate = threading.Event()
    receiver.answers = [Answer(hold=gate)]
    answer = webhook(receiver, seconds=0.4).send(MESSAGE)
    gate.set()

    assert isinstance(answer, NotSent)
    assert not answer.is_final


def test_an_answer_without_end_is_cut(receiver: Receiver) -> None:
    receiver.answers = [Answer(body=b"x" * 2_000_000)]

    assert isinstance(webhook(receiver).send(MESSAGE), NotSent)


def test_what_a_receiver_says_is_shown_as_one_short_line_without_secrets(receiver: Receiver) -> None:
    receiver.answers = [Answer(500, body=b"\x1b[31mbad\r\n" + b"y" * 5000)]
    answer = webhook(receiver).send(MESSAGE)

    assert len(answer.text) < 300
    assert answer.text.isprintable()


def test_a_place_where_no_one_listens_is_said_without_path_and_query(receiver: Receiver) -> None:
    receiver.close()
    answer = webhook(receiver).send(MESSAGE)

    assert isinstance(answer, NotSent)
    assert PASSWORD not in answer.text
    assert "hook" not in answer.text


@pytest.mark.parametrize(("kind", "field"), [(SlackTable, "blocks"), (TeamsTable, "attachments")])
def test_a_chat_gets_its_message_at_the_address_that_is_a_secret(receiver: Receiver, kind: Any, field: str) -> None:
    sender = open_sender("ops", kind(), load({"SFMC_NOTIFY_OPS_URL": receiver.url}))

    assert isinstance(sender.send(MESSAGE), Sent)
    assert field in receiver.posts[0].json
    assert receiver.posts[0].path == "/hook?sig=a-secret-of-this-test"


@pytest.mark.parametrize("is_trusted", [True, False])
def test_a_certificate_is_checked_against_those_that_are_trusted(receiver: Receiver, *, is_trusted: bool) -> None:
    with tls_in_front_of(receiver.port) as port:
        poster = Poster(f"https://127.0.0.1:{port}/", 10, str(CERTIFICATE) if is_trusted else True, Proxies())
        answer = Webhook(poster, [read_key(SECRET)]).send(MESSAGE)

    assert isinstance(answer, Sent) is is_trusted
    assert len(receiver.posts) == is_trusted


# --- Mail.


def box(server: MailServer, **more: Any) -> Mailbox:
    given = {"host": "127.0.0.1", "port": server.port, "security": server.tls, "sender": "imports@example.com"}
    return Mailbox(**{**given, "to": ("ops@example.com", "team@example.com"), **more})


def send(server: MailServer, message: Message = MESSAGE, *, seconds: float = 10, **more: Any) -> Sent | NotSent:
    return Mail(box(server, **more), seconds, str(CERTIFICATE)).send(message)


@pytest.mark.parametrize("tls", ["none", "starttls", "tls"])
def test_a_mail_is_given_to_the_server_as_the_lines_say(tls: str) -> None:
    login = {} if tls == "none" else {"username": "u", "password": PASSWORD}
    with mail_server(tls=tls, password=PASSWORD) as server:
        answer = send(server, **login)

        assert isinstance(answer, Sent)
        assert server.mails[0]["Subject"] == "sfmc-import: import_failed daily (a.csv)"
        assert "bröken" in server.mails[0].get_content()  # type: ignore[attr-defined]
        assert server.envelopes == [("FROM:<imports@example.com>", ["TO:<ops@example.com>", "TO:<team@example.com>"])]
        assert server.logins == ([] if tls == "none" else ["u"])


def test_a_server_that_offers_no_tls_gets_neither_password_nor_mail() -> None:
    with mail_server() as server:
        answer = send(server, security="starttls", username="u", password=PASSWORD)

        assert isinstance(answer, NotSent)
        assert "STARTTLS" in answer.text
        assert (server.logins, server.mails) == ([], [])


def test_a_certificate_that_is_not_trusted_ends_it_before_the_login() -> None:
    with mail_server(tls="starttls", password=PASSWORD) as server:
        answer = Mail(box(server, username="u", password=PASSWORD), 10, True).send(MESSAGE)

        assert isinstance(answer, NotSent)
        assert server.logins == []


@pytest.mark.parametrize(
    ("command", "said", "is_final"),
    [
        ("DATA", "451 later", False),
        ("DATA", "554 spam", True),
        ("RCPT", "550 no such user", True),
        ("RCPT", "450 greylisted", False),
        ("MAIL", "553 not you", True),
        ("EHLO", "421 busy", False),
    ],
)
def test_a_refusal_is_final_where_the_server_says_so(command: str, said: str, *, is_final: bool) -> None:
    with mail_server() as server:
        server.answers = {command: said, **({"HELO": said} if command == "EHLO" else {})}
        answer = send(server)

    assert isinstance(answer, NotSent)
    assert answer.is_final is is_final
    assert said.partition(" ")[2] in answer.text


def test_a_recipient_whom_the_server_refuses_for_now_gets_the_mail_later_and_the_others_once() -> None:
    with mail_server() as server:
        mail = Mail(box(server), 10, True)
        server.answers = {"RCPT TO:<team@example.com>": "450 greylisted"}
        first = mail.send(MESSAGE)
        server.answers = {}
        second = mail.send(MESSAGE)

    assert isinstance(first, NotSent)
    assert not first.is_final
    assert isinstance(second, Sent)
    assert [to for _, to in server.envelopes] == [["TO:<ops@example.com>"], ["TO:<team@example.com>"]]
    assert server.mails[0]["Message-ID"] == server.mails[1]["Message-ID"]


def test_a_recipient_whom_the_server_refuses_for_good_is_named_and_the_others_get_the_mail() -> None:
    with mail_server() as server:
        server.answers = {"RCPT TO:<team@example.com>": "550 no such user"}
        answer = send(server)

    assert isinstance(answer, Sent)
    assert answer.refused == "refused for team@example.com"
    assert [to for _, to in server.envelopes] == [["TO:<ops@example.com>"]]


def test_a_recipient_who_is_refused_for_good_after_the_others_have_the_mail_is_named() -> None:
    with mail_server() as server:
        mail = Mail(box(server), 10, True)
        server.answers = {"RCPT TO:<team@example.com>": "450 greylisted"}
        mail.send(MESSAGE)
        server.answers = {"RCPT TO:<team@example.com>": "550 no such user"}
        answer = mail.send(MESSAGE)

    assert isinstance(answer, Sent)
    assert answer.refused == "refused for team@example.com"
    assert len(server.mails) == 1


def test_a_password_that_is_wrong_can_be_corrected_and_is_not_shown() -> None:
    with mail_server(tls="tls", password="other") as server:
        answer = send(server, username="u", password=PASSWORD)

    assert isinstance(answer, NotSent)
    assert not answer.is_final
    assert "535" in answer.text
    assert PASSWORD not in answer.text
    assert PASSWORD not in repr(box(server, username="u", password=PASSWORD))


def test_a_server_that_says_nothing_is_left_after_the_time_for_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mailbox = Mailbox(
            host="127.0.0.1", port=silent.getsockname()[1], security="none", sender="a@b.c", to=("x@y.z",)
        )
        answer = Mail(mailbox, 0.3, True).send(MESSAGE)

    assert isinstance(answer, NotSent)
    assert "timed out" in answer.text or "time" in answer.text


def test_a_server_that_talks_without_end_is_cut() -> None:
    with mail_server() as server:
        server.greeting = b"220-hello\r\n" * (MAX_ANSWER_BYTES // 10)
        answer = send(server)

    assert isinstance(answer, NotSent)
    assert str(MAX_ANSWER_BYTES) in answer.text


def test_a_test_message_reaches_the_other_side(receiver: Receiver) -> None:
    webhook(receiver).send(messages.of_test("ops", "7", datetime.now(UTC)))

    assert receiver.posts[0].json["type"] == "sfmc.import.notification.test"
    assert receiver.posts[0].headers["webhook-id"] == "test/7"

"""Mail by SMTP: one deadline over all its parts, TLS as asked for, headers that hold one line."""

import errno
import hashlib
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP as MAIL
from email.utils import formatdate
from functools import cache
from typing import Any, Literal
from urllib.parse import urlsplit

from sfmc_import.display import one_line
from sfmc_import.marketing_cloud.http import Connector, Deadline, NotConnectedError, describe_error, tls_context
from sfmc_import.notifications.messages import Message
from sfmc_import.notifications.sending import NotSent, Sent
from sfmc_import.proxies import Proxies
from sfmc_import.redaction import hidden

MAX_ANSWER_BYTES = 65_536
MAX_SHOWN = 200
GREETING = 220
PORTS = {"starttls": 587, "tls": 465, "none": 25}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """Where mail is given away, as whom, and for whom."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    sender: str
    to: tuple[str, ...]
    username: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class _Left:
    """What is left of the mail with this id: for whom it was not taken for now, and for whom never."""

    id: str
    later: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


Refused = Mapping[str, tuple[int, bytes]]
"""The recipients for whom a server did not take a mail, with its answers."""


class Mail:
    """Sends mails, each over a connection of its own."""

    def __init__(self, mailbox: Mailbox, seconds: float, verify: bool | str) -> None:
        self._mailbox, self._seconds = mailbox, seconds
        self._tls: Callable[[], ssl.SSLContext] = cache(lambda: tls_context(verify))
        self._connector = Connector(self._tls, Proxies(), seconds)
        self._left = _Left("")

    def send(self, message: Message) -> Sent | NotSent:
        """Send one; a server that answers 4xx is tried again, one that refuses the mail with 5xx is not."""
        server = f"{self._mailbox.host}:{self._mailbox.port}"
        before = self._left if self._left.id == message.id else _Left(message.id, self._mailbox.to)
        try:
            refused = self._send(mail(message, self._mailbox), before.later)
        except NotConnectedError as error:
            return NotSent(error.failed.text)
        except smtplib.SMTPException as error:
            if _is_final(error) and len(before.later) < len(self._mailbox.to):
                # The others have it.
                return Sent(f"{server} took it", refused=_for_whom((*before.refused, *before.later)))
            return NotSent(f"{server} {_said(error)}", _is_final(error))
        except (OSError, ValueError) as error:
            return NotSent(f"{server}: {describe_error(error)}")
        later = tuple(each for each, (code, _) in refused.items() if not _is_permanent(code))
        for_good = (*before.refused, *(each for each in refused if each not in later))
        self._left = _Left(message.id, later, for_good) if later else _Left("")
        if later:
            return NotSent(f"{server} took it, except for {len(later)} of {len(before.later)} recipients for now")
        return Sent(f"{server} took it", refused=_for_whom(for_good))

    def _send(self, message: EmailMessage, to: Sequence[str]) -> Refused:
        deadline, box = Deadline(self._seconds), self._mailbox
        scheme = "https" if box.security == "tls" else "http"
        host = f"[{box.host}]" if ":" in box.host else box.host
        session = _Session(self._connector.connect(urlsplit(f"{scheme}://{host}:{box.port}"), deadline), box.host)
        try:
            with cut_at(deadline, session):
                return self._converse(session, message, to)
        finally:
            session.close()

    def _converse(self, session: "_Session", message: EmailMessage, to: Sequence[str]) -> Refused:
        box = self._mailbox
        session.greet()
        if box.security == "starttls":
            session.starttls(context=self._tls())
        if box.username:
            session.login(box.username, box.password)
        refused = session.send_message(message, box.sender, to)
        # The mail is taken: whatever comes of the goodbye, it must not be sent again.
        with suppress(OSError):
            session.quit()
        return refused


class _Session(smtplib.SMTP):
    """A session on a connection that exists; its answers have a limit."""

    def __init__(self, connection: socket.socket, host: str) -> None:
        super().__init__(local_hostname="localhost")
        connection.settimeout(None)
        self.sock = connection
        self._host = host

    def greet(self) -> None:
        """Wait for the greeting of the server, and say who we are."""
        code, text = self.getreply()
        if code != GREETING:
            raise smtplib.SMTPConnectError(code, text)
        self.ehlo_or_helo_if_needed()

    def getreply(self) -> tuple[int, bytes]:
        """Read an answer, as smtplib does, from a file with a limit."""
        if self.file is None and self.sock is not None:
            self.file = _Limited(self.sock.makefile("rb"))
        return super().getreply()


class _Limited:
    """A file that gives so many bytes and then fails."""

    def __init__(self, file: Any) -> None:
        self._file, self._left = file, MAX_ANSWER_BYTES

    def readline(self, limit: int) -> bytes:
        """Read a line."""
        line: bytes = self._file.readline(limit)
        self._left -= len(line)
        if self._left < 0:
            raise OSError(errno.EMSGSIZE, f"sent answers of more than {MAX_ANSWER_BYTES} bytes")
        return line

    def close(self) -> None:
        """Close it."""
        self._file.close()


@contextmanager
def cut_at(deadline: Deadline, session: smtplib.SMTP) -> Iterator[None]:
    """Cut the connection of a session when the time is over: smtplib would begin a new limit with each read."""
    late = threading.Event()

    def cut() -> None:
        late.set()
        if session.sock is not None:
            # Not the method of a TLS socket: that would take its state from under the thread that reads.
            with suppress(OSError):
                socket.socket.shutdown(session.sock, socket.SHUT_RDWR)

    timer = threading.Timer(deadline.left(), cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    except OSError as error:
        if late.is_set():
            raise TimeoutError from error
        raise
    finally:
        timer.cancel()


def mail(message: Message, mailbox: Mailbox) -> EmailMessage:
    """Write a mail; what stands in its headers is one line each."""
    made = EmailMessage(policy=MAIL)
    made["Subject"] = one_line(message.title)
    made["From"] = mailbox.sender
    made["To"] = ", ".join(mailbox.to)
    made["Date"] = formatdate(message.at)
    made["Message-ID"] = f"<{message_id(message.id)}@sfmc-import.invalid>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content("\n".join([*message.lines, "", f"id {message.id}", ""]), charset="utf-8")
    return made


def message_id(identity: str) -> str:
    """Give an id as a header takes it; the same one for the same message."""
    return hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()[:32]


def _said(error: smtplib.SMTPException) -> str:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        answers = sorted({f"{code} {_text(text)}" for code, text in error.recipients.values()})
        return f"refused all recipients: {'; '.join(answers)}"[:MAX_SHOWN]
    if isinstance(error, smtplib.SMTPResponseException):
        return f"answered {error.smtp_code} {_text(error.smtp_error)}"
    return _text(str(error))


def _for_whom(refused: Sequence[str]) -> str:
    return f"refused for {one_line(', '.join(refused))}"[:MAX_SHOWN] if refused else ""


def _text(said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return one_line(hidden(text))[:MAX_SHOWN]


def _is_final(error: smtplib.SMTPException) -> bool:
    """Tell whether the mail itself is refused; a login that fails can be corrected in the settings."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(_is_permanent(code) for code, _ in error.recipients.values())
    refusals = smtplib.SMTPDataError | smtplib.SMTPSenderRefused
    return isinstance(error, refusals) and _is_permanent(error.smtp_code)


def _is_permanent(code: int) -> bool:
    return 500 <= code < 600

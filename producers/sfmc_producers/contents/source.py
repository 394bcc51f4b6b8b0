"""A source whose events only name their files, together with where those can be read."""

from collections.abc import Callable, Iterator, Sequence
from typing import Self

from sfmc_import.states import Reported
from sfmc_producers.contents.opening import Contents
from sfmc_producers.notifications import Wakeup
from sfmc_producers.sources.arrivals import Arrival, Parse, Record
from sfmc_producers.sources.receiving import GivesBack, LooksForRecords, Mailbox, Message, Receiver


class ContentMailbox:
    """A mailbox that receives nothing while the login for the contents is refused: the source stops and says so."""

    def __init__(self, inner: Mailbox, contents: Contents) -> None:
        self._inner, self._contents = inner, contents

    @classmethod
    def opened_by(cls, open_inner: Callable[[], Mailbox], contents: Contents) -> Callable[[], Self]:
        """Give what opens it."""
        return lambda: cls(open_inner(), contents)

    def receive(self) -> Sequence[Message]:
        """Receive; raises SourceRefusedError also for the login of the contents."""
        self._contents.require()
        return self._inner.receive()

    def keep(self, messages: Sequence[Message]) -> None:
        """Keep messages."""
        self._inner.keep(messages)

    def give_back(self, messages: Sequence[Message]) -> None:
        """Let others have messages, where the inner mailbox can."""
        if isinstance(self._inner, GivesBack):
            self._inner.give_back(messages)

    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Acknowledge messages."""
        self._inner.acknowledge(messages)

    def acknowledge_recorded(
        self, messages: Sequence[Message], recorded: Sequence[str | Reported], marks: Sequence[str] = ()
    ) -> bool:
        """Acknowledge messages; False where the inner mailbox finds that what was recorded for them is not there."""
        if isinstance(self._inner, LooksForRecords):
            return self._inner.acknowledge_recorded(messages, recorded, marks)
        self._inner.acknowledge(messages)
        return True

    def close(self) -> None:
        """Close the connection."""
        self._inner.close()


class ContentSource:
    """Runs a receiver, lists the contents, and reads messages as arrivals whose content can be opened."""

    def __init__(self, name: str, contents: Contents, parse: Parse) -> None:
        self.name, self._contents, self._parse = name, contents, parse
        self._receiver: Receiver | None = None

    def with_receiver(self, receiver: Receiver) -> Self:
        """Let this receiver run; it reads messages with `records`."""
        self._receiver = receiver
        return self

    def run(self, wakeup: Wakeup) -> None:
        """Receive until `wakeup` closes; raises SourceRefusedError."""
        assert self._receiver is not None
        try:
            self._receiver.run(wakeup)
        finally:
            self._contents.close()

    def records(self, body: bytes) -> Sequence[Record]:
        """Read the body of a message."""
        return [self._contents.with_content(each) if isinstance(each, Arrival) else each for each in self._parse(body)]

    def list_arrivals(self) -> Iterator[Arrival]:
        """Yield what lies there now; its content can be opened."""
        return map(self._contents.with_content, self._contents.list_arrivals())

    def close(self) -> None:
        """Close the connections after it was listed."""
        self._contents.close()

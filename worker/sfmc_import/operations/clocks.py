"""Processes whose clock differs from that of Redis, as they say it themselves."""

from sfmc_import.ledger.reading import LedgerReader
from sfmc_import.operations.views import Time, View, time_of
from sfmc_import.redaction import hidden

ADVICE = "synchronise its clock and that of Redis (NTP); decisions use the time of Redis meanwhile"


class ClockView(View):
    """One of them, by how many seconds its clock is ahead, and when it said so last."""

    process: str
    ahead: float
    seen_at: Time
    text: str
    advice: str = ADVICE


def wrong_clocks(reader: LedgerReader) -> tuple[ClockView, ...]:
    """Give them by their names."""
    return tuple(_view(process, *said) for process, said in sorted(reader.clocks().items()))


def _view(process: str, said_at: float, ahead: float) -> ClockView:
    seen_at, name = time_of(said_at), hidden(process)
    assert seen_at is not None
    how = "ahead of" if ahead > 0 else "behind"
    text = f"the clock of the {name} is {abs(ahead):.0f} s {how} that of Redis"
    return ClockView(process=name, ahead=round(ahead, 1), seen_at=seen_at, text=text)

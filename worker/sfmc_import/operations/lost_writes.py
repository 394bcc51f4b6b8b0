"""Whether Redis has lost writes: since when, what may be missing, what follows, and what somebody must do."""

from datetime import UTC, datetime

from sfmc_import.access import ReadAccess
from sfmc_import.ledger.ledger_settings import careful_seconds
from sfmc_import.ledger.reading import LedgerReader
from sfmc_import.operations.views import Time, View
from sfmc_import.settings import Settings


class LossView(View):
    """A loss that starts are careful for `until` then; `since` is when a process noticed it last.

    `survived_until` is the time of the newest event that Redis still had, null where it had none. `may_be_new`: the
    ledger was empty, and nothing says whether it is a new one.
    """

    since: Time
    until: Time
    survived_until: Time | None = None
    may_be_new: bool = False
    text: str
    advice: str


_CAREFUL = "Until {until} each start looks first for runs that are not known here, and may wait for them"
_EMPTY = "Redis was empty at {since}: nothing of before is known here: no request, no event and no token"
_LAST = (
    "Redis lost writes, noticed at {since}: the newest event that it still had is of {survived}; requests of after it"
    " are missing, perhaps also older ones"
)
_NEW = "The ledger was empty at {since}. Either it is new, or Redis has lost all of it"
_COMPARE = (
    "compare with Marketing Cloud which imports ran, and submit again what is not shown here and did not run (runbook,"
    " situation 5); a watcher that is restarted submits each file again whose request is missing, also imported ones:"
    " move those away before; the logs of the workers say what noticed it (write_loss_detected, redis_server_changed)"
)
_TOKENS = "; make the tokens of API and console anew"
_IF_NEW = "nothing for a new one; otherwise "


def losses(reader: LedgerReader, settings: Settings) -> tuple[LossView, ...]:
    """Give the loss that is in force; several are one."""
    found = reader.loss()
    if not found:
        return ()
    since, survived, is_new = _date(found["noticed_at"]), found.get("survived_until"), bool(found.get("may_be_new"))
    answer = settings.connect_timeout + settings.read_timeout
    until = _date(found.get("from", found["noticed_at"]) + careful_seconds(answer, settings.results_delay))
    newest = datetime.fromisoformat(survived) if survived else None
    begin = _NEW if is_new else _LAST if survived else _EMPTY
    said = {"since": _said(since), "until": _said(until), "survived": _said(newest)}
    advice = _COMPARE if survived else f"{_COMPARE}{_TOKENS}"
    view = LossView(
        since=since,
        until=until,
        survived_until=newest,
        may_be_new=is_new,
        text=f"{begin}. {_CAREFUL}".format(**said),
        advice=f"{_IF_NEW}{advice}" if is_new else advice,
    )
    return (view,)


def said_of_loss(access: ReadAccess, what: str = "it") -> str:
    """Say of something that is not there that Redis may have lost it; empty where no loss is in force."""
    found = [each for each in losses(access.reader, access.settings) if not each.may_be_new]
    return "".join(f"; Redis lost writes, noticed at {_said(each.since)}: {what} may be among them" for each in found)


def _date(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _said(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"

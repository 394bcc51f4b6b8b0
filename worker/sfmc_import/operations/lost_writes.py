"""Whether Redis has lost writes: since when, what may be missing, what follows, and what somebody must do."""

from datetime import datetime

from sfmc_import.access import ReadAccess
from sfmc_import.display import date_of
from sfmc_import.ledger.ledger_settings import careful_seconds
from sfmc_import.ledger.reading import LedgerReader
from sfmc_import.operations.views import Time, View
from sfmc_import.settings import Settings


class LossView(View):
    """A loss that starts are careful for `until` then; `since` is when a process noticed it first, `again` last.

    `survived_until` is the time of the newest event that Redis still had, null where it had none. `may_be_new`: the
    ledger was empty, and nothing says whether it is a new one. It is proved (`is_proved`) where something was missing
    that had been there; a server that was started anew, or took over, may have all of it.
    """

    since: Time
    until: Time
    again: Time | None = None
    survived_until: Time | None = None
    may_be_new: bool = False
    is_proved: bool = True
    text: str
    advice: str

    @property
    def is_alarm(self) -> bool:
        """Whether somebody must look what is missing."""
        return self.is_proved and not self.may_be_new


_CAREFUL = "Until {until} each start looks first for runs that are not known here, and may wait for them"
_EMPTY = "Redis was empty at {since}: nothing of before is known here: no request, no event, no token and no pause"
_LAST = (
    "Redis lost writes, noticed at {since}: the newest event that it still had is of {survived}; requests and"
    " pauses of after it are missing, perhaps also older ones"
)
_NEW = "The ledger was empty at {since}. Either it is new, or Redis has lost all of it"
_ANEW = (
    "Redis was started anew, or another one took over, noticed at {since}: it may lack its last writes, and nothing"
    " shows that any is missing; its newest event is of {survived}"
)
_AGAIN = ", and a loss or another server of Redis was noticed again at {again}"
_IF_KILLED = (
    "nothing after an orderly restart; after a kill, a failover or a power loss compare with Marketing Cloud which"
    " imports ran after that time, and see whether the pauses are still those that were set (runbook, situation 5)"
)
_COMPARE = (
    "compare with Marketing Cloud which imports ran, and submit again what is not shown here and did not run (runbook,"
    " situation 5); a watcher that is restarted submits each file again whose request is missing, also imported ones:"
    " move those away before; the logs of the workers say what noticed it (write_loss_detected, redis_server_changed)"
)
_PAUSE = "pause again what must not start; "
_SEE_PAUSES = "see whether the pauses are still those that were set; "
_TOKENS = "; make the tokens of API and console anew"
_IF_NEW = "nothing for a new one; otherwise "


def losses(reader: LedgerReader, settings: Settings) -> tuple[LossView, ...]:
    """Give the loss that is in force; several are one."""
    found = reader.loss()
    if not found:
        return ()
    newest, first = found["noticed_at"], found.get("noticed_first", found["noticed_at"])
    answer = settings.connect_timeout + settings.read_timeout
    until = found.get("from", newest) + careful_seconds(answer, settings.results_delay)
    survived = found.get("survived_until")
    view = LossView(
        since=date_of(first),
        until=date_of(until),
        again=date_of(newest) if newest > first else None,
        survived_until=datetime.fromisoformat(survived) if survived else None,
        may_be_new=bool(found.get("may_be_new")),
        is_proved=bool(found.get("is_proved")),
        text="",
        advice="",
    )
    return (view.model_copy(update={"text": _text(view), "advice": _advice(view)}),)


def _text(loss: LossView) -> str:
    begin = _NEW if loss.may_be_new else _begin(loss)
    again = _AGAIN if loss.again else ""
    times = {"since": loss.since, "until": loss.until, "again": loss.again, "survived": loss.survived_until}
    return f"{begin}{again}. {_CAREFUL}".format(**{name: _said(moment) for name, moment in times.items()})


def _begin(loss: LossView) -> str:
    if loss.is_proved:
        return _LAST if loss.survived_until else _EMPTY
    return _ANEW if loss.survived_until else _ANEW.partition(";")[0]


def _advice(loss: LossView) -> str:
    if not (loss.is_proved or loss.may_be_new):
        return _IF_KILLED
    if loss.survived_until:
        return f"{_SEE_PAUSES}{_COMPARE}"
    return f"{_IF_NEW if loss.may_be_new else ''}{_PAUSE}{_COMPARE}{_TOKENS}"


def said_of_loss(access: ReadAccess, what: str = "it") -> str:
    """Say of something that is not there that Redis may have lost it; empty where no loss is in force."""
    found = [each for each in losses(access.reader, access.settings) if not each.may_be_new]
    return "".join(f"; {_lost(each)}, noticed at {_said(each.since)}: {what} may be among them" for each in found)


def _lost(loss: LossView) -> str:
    return "Redis lost writes" if loss.is_proved else "Redis was started anew and may have lost its last writes"


def _said(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S} UTC"

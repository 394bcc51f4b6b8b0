"""Waits for the end of a request by asking for its life from time to time; an outage is waited out."""

import time
from collections.abc import Callable, Iterator

from sfmc_import.errors import ServiceUnavailableError
from sfmc_import.events import Event
from sfmc_import.operations.errors import OperationError
from sfmc_import.operations.views import LifeView
from sfmc_import.states import UNFINISHED

ASK_SECONDS = 1.0
Show = Callable[[str], LifeView]


def events_until_end(
    show: Show,
    request_id: str,
    *,
    within: float | None = None,
    on_outage: Callable[[str], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Event]:
    """Yield the events of a request from its first on, until its end, or for `within` seconds.

    After a duplicate that may be taken up it waits until the other request has started. Raises what the first `show`
    raises; later it waits while the ledger or the server does not answer.
    """
    deadline = None if within is None else clock() + within
    shown: set[str] = set()
    asking = _Asking(show, request_id, on_outage)
    life: LifeView | None = show(request_id)
    while True:
        yield from _new_events(life, shown)
        pause = ASK_SECONDS if deadline is None else min(ASK_SECONDS, deadline - clock())
        if pause <= 0 or (life is not None and _is_over(show, life)):
            return
        sleep(pause)
        life = asking.again()


class _Asking:
    """Asks again; an outage is said once."""

    def __init__(self, show: Show, request_id: str, on_outage: Callable[[str], None]) -> None:
        self._show, self._request_id, self._on_outage = show, request_id, on_outage
        self._is_out = False

    def again(self) -> LifeView | None:
        try:
            life = self._show(self._request_id)
        except ServiceUnavailableError as error:
            if not self._is_out:
                self._on_outage(str(error))
            self._is_out = True
            return None
        self._is_out = False
        return life


def _new_events(life: LifeView | None, shown: set[str]) -> Iterator[Event]:
    for event in () if life is None else life.events:
        if event["stream_id"] not in shown:
            shown.add(event["stream_id"])
            yield {name: value for name, value in event.items() if name != "stream_id"}


def _is_over(show: Show, life: LifeView) -> bool:
    if not life.is_finished:
        return False
    last = life.events[-1]["data"] if life.events else {}
    if life.state != "duplicate" or last.get("final") is not False:
        return True
    return not _may_come_to_nothing(show, str(last.get("held_by", "")))


def _may_come_to_nothing(show: Show, holder: str) -> bool:
    try:
        state = show(holder).state
    except ServiceUnavailableError:
        return True
    except OperationError:  # it is gone, or another's
        return False
    return state in UNFINISHED and state != "started"

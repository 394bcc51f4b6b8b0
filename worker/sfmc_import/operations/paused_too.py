"""Says of what fails that it is paused too: after the failure it waits for the end of that pause."""

from collections.abc import Sequence

from sfmc_import.operations.fixing import OR_ANOTHER_LOGIN, RESUME
from sfmc_import.operations.views import PauseView, RequestView

PAUSED = "paused"
GOES_ON = "; it goes on by itself"
RESUME_TOO = "resume what is paused; it goes on by itself when this wait is over too"
ALL_GO_ON = "Requests go on by themselves"


def with_pause(view: RequestView) -> RequestView:
    """Add to an advice that a pause holds the request after that, and what ends it."""
    pause = pause_beside(view)
    if pause is None or (view.advice is None and pause.until is not None):
        return view
    is_queued = view.waiting is not None and view.waiting.reason == "queued"
    advice = _both(view.advice, pause) if view.advice else RESUME if is_queued else RESUME_TOO
    return view.model_copy(update={"advice": advice})


def pause_beside(view: RequestView) -> PauseView | None:
    """Give the pause of a request that waits for something else; None without one, and where it waits for that."""
    waiting = view.waiting
    return None if waiting is None or waiting.reason == PAUSED else waiting.pause


def _both(advice: str, pause: PauseView) -> str:
    begin, _, rest = advice.partition(GOES_ON)
    rest = rest.removeprefix(" after that").removeprefix(OR_ANOTHER_LOGIN)
    return f"{begin}; it is paused too{_end(pause)}{GOES_ON} after both{rest}"


def _end(pause: PauseView) -> str:
    return ": resume what is paused" if pause.until is None else f", until {pause.until:%Y-%m-%d %H:%M:%S} UTC"


def all_paused(advice: str, held: Sequence[PauseView | None]) -> str:
    """Say in the advice for several requests that all of them are paused too; `held` has the pause of each."""
    pauses = [each for each in held if each is not None]
    if not pauses or len(pauses) < len(held):
        return advice
    begin = advice.partition(ALL_GO_ON)[0]
    pause = max(pauses, key=lambda each: float("inf") if each.until is None else each.until.timestamp())
    return f"{begin}They are paused too{_end(pause)}. {ALL_GO_ON} after {'both' if begin else 'that'}."

"""The pause that the service asks a whole account for: the longest one counts."""

from sfmc_import.faults import NotApplied
from sfmc_import.marketing_cloud.client import RequestedPause


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def asked(code: str, seconds: float) -> NotApplied:
    return NotApplied(code, "wait", account_wide=True, retry_after=seconds)


def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    pause = RequestedPause(Clock())
    pause.note(asked("http_503", 300.0))
    pause.note(asked("http_429", 1.0))

    fault = pause.fault()
    assert fault is not None
    assert (fault.code, fault.retry_after) == ("http_503", 300.0)


def test_a_longer_pause_takes_the_place_of_a_shorter_one() -> None:
    pause = RequestedPause(Clock())
    pause.note(asked("http_429", 1.0))
    pause.note(asked("http_503", 300.0))

    fault = pause.fault()
    assert fault is not None
    assert (fault.code, fault.retry_after) == ("http_503", 300.0)

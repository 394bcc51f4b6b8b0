"""Every fault that can be asked for, with its meaning, as one table; no behaviour."""

from dataclasses import dataclass
from enum import Enum

TOKEN, WSDL = "Token", "Wsdl"
"""What rules call the requests that are no SOAP operations."""


class Stage(Enum):
    """Where on the way of a call a fault strikes; in this order."""

    BEFORE = "before the call is applied"
    ANSWER = "in the content of the answer"
    RUN = "in the run that the call starts"
    AFTER = "after the call is applied"


@dataclass(frozen=True)
class FaultKind:
    """One fault: its name, when it strikes, what it does, and its parameters with their defaults."""

    name: str
    stage: Stage
    meaning: str
    parameters: tuple[tuple[str, float | str], ...] = ()

    def fits(self, operation: str) -> bool:
        """Whether an operation can be struck: only Perform starts runs, and only SOAP calls have error results."""
        if self.stage in {Stage.ANSWER, Stage.RUN}:
            return operation == "Perform"
        return not (self.name.startswith("error_") and operation in {TOKEN, WSDL})

    @property
    def ends_the_call(self) -> bool:
        """Whether nothing else can strike a call after this."""
        return self.stage in {Stage.BEFORE, Stage.AFTER} and self.name not in _GO_ON


_GO_ON = {"delay", "delay_after_applying", "throttle"}
_KINDS = (
    FaultKind("delay", Stage.BEFORE, "Waits before anything else.", (("seconds", 1.0),)),
    FaultKind("drop_before_applying", Stage.BEFORE, "Resets the connection; nothing happens."),
    FaultKind("http_400", Stage.BEFORE, "HTTP 400 with the text Bad Request; nothing happens."),
    FaultKind("http_500", Stage.BEFORE, "HTTP 500 without a SOAP fault; nothing happens."),
    FaultKind("http_429", Stage.BEFORE, "HTTP 429 with Retry-After; nothing happens.", (("seconds", 1.0),)),
    FaultKind("http_503", Stage.BEFORE, "HTTP 503 with Retry-After; nothing happens.", (("seconds", 1.0),)),
    FaultKind("fault_2", Stage.BEFORE, "SOAP fault 2 (unexpected error); nothing happens."),
    FaultKind("fault_9", Stage.BEFORE, "SOAP fault 9 (in maintenance); nothing happens."),
    FaultKind("fault_10", Stage.BEFORE, "SOAP fault 10 (outage); nothing happens."),
    FaultKind("fault_11", Stage.BEFORE, "SOAP fault 11 (not authorised); nothing happens."),
    FaultKind("fault_12", Stage.BEFORE, "SOAP fault 12 (bad user name or password); nothing happens."),
    FaultKind("fault_13", Stage.BEFORE, "SOAP fault 13 (database problem, not processed); nothing happens."),
    FaultKind("fault_17", Stage.BEFORE, "SOAP fault 17 (rate limited); nothing happens."),
    FaultKind("token_expired", Stage.BEFORE, "Security fault Token Expired; nothing happens."),
    FaultKind("login_failed", Stage.BEFORE, "Security fault Login Failed; nothing happens."),
    FaultKind(
        "throttle", Stage.BEFORE, "SOAP fault 17 for every call after so many in one minute of the clock.",
        (("calls_per_minute", 60.0),),
    ),
    FaultKind("error_43010", Stage.BEFORE, "Result Error 43010 for each object; nothing happens."),
    FaultKind("error_timeout", Stage.BEFORE, "Retrieve answers Error: Timeout expired; all else Error 2."),
    FaultKind("error_43060", Stage.BEFORE, "Result Error 43060 for each object; nothing happens."),
    FaultKind("missing_task", Stage.ANSWER, "Applied and answered OK, but without Task."),
    FaultKind("late_row", Stage.RUN, "The row of the run is invisible for that long.", (("seconds", 5.0),)),
    FaultKind("slow_run", Stage.RUN, "The run shows as Processing for that long.", (("seconds", 5.0),)),
    FaultKind("status_unknown", Stage.RUN, "The run ends with the status Unknown."),
    FaultKind("status_strange", Stage.RUN, "The run ends with a status nobody knows.", (("status", "Paused"),)),
    FaultKind("empty_run", Stage.RUN, "The run ends Completed with TotalRows 0; nothing is imported."),
    FaultKind("error_run", Stage.RUN, "The run ends with the status Error; nothing is imported."),
    FaultKind("drop_after_applying", Stage.AFTER, "Applied, then the connection is reset without an answer."),
    FaultKind("http_500_after_applying", Stage.AFTER, "Applied, then HTTP 500 without a SOAP fault."),
    FaultKind("fault_2_after_applying", Stage.AFTER, "Applied, then SOAP fault 2."),
    FaultKind("delay_after_applying", Stage.AFTER, "Applied, then waits before it answers.", (("seconds", 1.0),)),
    FaultKind("garbage", Stage.AFTER, "Applied, then HTTP 200 with bytes that are no XML."),
    FaultKind("truncated", Stage.AFTER, "Applied, then half of the answer and a closed connection."),
    FaultKind("wrong_content_type", Stage.AFTER, "Applied, then HTTP 200 with an HTML page."),
    FaultKind(
        "slow_drip", Stage.AFTER, "Applied, then the answer byte by byte, spread over that long.",
        (("seconds", 5.0),),
    ),
)  # fmt: skip
CATALOGUE = {kind.name: kind for kind in _KINDS}
"""All faults by name."""

"""The faults that can be injected, as one table: when each happens, what it does and its parameters."""

from dataclasses import dataclass
from enum import Enum

TOKEN, WSDL = "Token", "Wsdl"
"""What rules call the two requests that are not SOAP operations."""
ACCOUNT_WIDE, TOKEN_REFUSED = "account_wide", "token_refused"


class Stage(Enum):
    """When during a call a fault happens; in this order."""

    BEFORE = "before the call is applied"
    ANSWER = "in the content of the answer"
    RUN = "in the run that the call starts"
    AFTER = "after the call is applied"


@dataclass(frozen=True)
class FaultKind:
    """One fault: its name, when it happens, what it does, and its parameters with their defaults."""

    name: str
    stage: Stage
    meaning: str
    parameters: tuple[tuple[str, float | str], ...] = ()

    def fits(self, operation: str) -> bool:
        """Whether an operation can have this fault: only Perform starts runs, only SOAP calls have results."""
        if self.stage in {Stage.ANSWER, Stage.RUN}:
            return operation == "Perform"
        if self.name == TOKEN_REFUSED:
            return operation == TOKEN
        if self.name == ACCOUNT_WIDE:
            return operation != WSDL
        return not (self.name.startswith("error_") and operation in {TOKEN, WSDL})

    @property
    def ends_the_call(self) -> bool:
        """Whether this fault decides the answer, so that no other rule is asked."""
        return self.stage in {Stage.BEFORE, Stage.AFTER} and self.name not in _GO_ON


_RETRY = "with Retry-After: the seconds, or the text of retry_after; nothing happens."
_RETRY_PARAMETERS = (("seconds", 1.0), ("retry_after", ""))
_GO_ON = {"delay", "delay_after_applying", "throttle"}
_KINDS = (
    FaultKind("delay", Stage.BEFORE, "Waits before anything else.", (("seconds", 1.0),)),
    FaultKind("drop_before_applying", Stage.BEFORE, "Resets the connection; nothing happens."),
    FaultKind("http_400", Stage.BEFORE, "HTTP 400 with the text Bad Request; nothing happens."),
    FaultKind("http_500", Stage.BEFORE, "HTTP 500 without a SOAP fault; nothing happens."),
    FaultKind("http_429", Stage.BEFORE, f"HTTP 429 {_RETRY}", _RETRY_PARAMETERS),
    FaultKind("http_503", Stage.BEFORE, f"HTTP 503 {_RETRY}", _RETRY_PARAMETERS),
    FaultKind(
        "http_any", Stage.BEFORE, "This HTTP status and text without a SOAP fault; nothing happens.",
        (("status", 401.0), ("text", "Unauthorized"), ("retry_after", "")),
    ),
    FaultKind(
        ACCOUNT_WIDE, Stage.BEFORE, "This HTTP status and Retry-After for tokens and every SOAP call; nothing happens.",
        (("status", 503.0), ("retry_after", "60")),
    ),
    FaultKind(
        TOKEN_REFUSED, Stage.BEFORE, "The token endpoint answers with this status, error and error_description.",
        (("status", 401.0), ("error", "invalid_client"), ("error_description", "Client authentication failed.")),
    ),
    FaultKind("hang", Stage.BEFORE, "No answer until the caller closes the connection; nothing happens."),
    FaultKind("fault_2", Stage.BEFORE, "SOAP fault 2 (unexpected error); nothing happens."),
    FaultKind("fault_9", Stage.BEFORE, "SOAP fault 9 (in maintenance); nothing happens."),
    FaultKind("fault_10", Stage.BEFORE, "SOAP fault 10 (outage); nothing happens."),
    FaultKind("fault_11", Stage.BEFORE, "SOAP fault 11 (not authorised); nothing happens."),
    FaultKind("fault_12", Stage.BEFORE, "SOAP fault 12 (bad user name or password); nothing happens."),
    FaultKind("fault_13", Stage.BEFORE, "SOAP fault 13 (database problem, not processed); nothing happens."),
    FaultKind("fault_17", Stage.BEFORE, "SOAP fault 17 (rate limited); nothing happens."),
    FaultKind(
        "fault_any", Stage.BEFORE, "SOAP fault (Server) with this code and text; nothing happens.",
        (("code", 99.0), ("text", "An unknown fault.")),
    ),
    FaultKind("token_expired", Stage.BEFORE, "Security fault Token Expired; nothing happens."),
    FaultKind("login_failed", Stage.BEFORE, "Security fault Login Failed; nothing happens."),
    FaultKind(
        "throttle", Stage.BEFORE, "SOAP fault 17 for every call after so many in one minute of the clock.",
        (("calls_per_minute", 60.0),),
    ),
    FaultKind("error_43010", Stage.BEFORE, "Result Error 43010 for each object; nothing happens."),
    FaultKind("error_timeout", Stage.BEFORE, "Retrieve answers Error: Timeout expired; all else Error 2."),
    FaultKind("error_43060", Stage.BEFORE, "Result Error 43060 for each object; nothing happens."),
    FaultKind(
        "error_any", Stage.BEFORE, "Result Error with this code and text for each object; nothing happens.",
        (("code", 99999.0), ("text", "An unknown error.")),
    ),
    FaultKind("missing_task", Stage.ANSWER, "Applied and answered OK, but without Task."),
    FaultKind("late_row", Stage.RUN, "The row of the run is invisible for that long.", (("seconds", 5.0),)),
    FaultKind("slow_run", Stage.RUN, "The run shows as Processing for that long.", (("seconds", 5.0),)),
    FaultKind("status_unknown", Stage.RUN, "The run ends with the status Unknown."),
    FaultKind("status_strange", Stage.RUN, "The run ends with an undocumented status.", (("status", "Paused"),)),
    FaultKind("empty_run", Stage.RUN, "The run ends Completed with TotalRows 0; nothing is imported."),
    FaultKind("error_run", Stage.RUN, "The run ends with the status Error; nothing is imported."),
    FaultKind("drop_after_applying", Stage.AFTER, "Applied, then the connection is reset without an answer."),
    FaultKind("http_500_after_applying", Stage.AFTER, "Applied, then HTTP 500 without a SOAP fault."),
    FaultKind(
        "http_any_after_applying", Stage.AFTER, "Applied, then this HTTP status and text without a SOAP fault.",
        (("status", 403.0), ("text", "Forbidden"), ("retry_after", "")),
    ),
    FaultKind("fault_2_after_applying", Stage.AFTER, "Applied, then SOAP fault 2."),
    FaultKind("delay_after_applying", Stage.AFTER, "Applied, then waits before it answers.", (("seconds", 1.0),)),
    FaultKind("garbage", Stage.AFTER, "Applied, then HTTP 200 with bytes that are no XML."),
    FaultKind("truncated", Stage.AFTER, "Applied, then half of the answer and a closed connection."),
    FaultKind("wrong_content_type", Stage.AFTER, "Applied, then HTTP 200 with an HTML page."),
    FaultKind(
        "slow_drip", Stage.AFTER, "Applied, then the answer byte by byte, spread over that long.",
        (("seconds", 5.0),),
    ),
    FaultKind("hang_after_applying", Stage.AFTER, "Applied, then no answer until the caller closes the connection."),
    FaultKind(
        "trickle", Stage.AFTER, "Applied, then the headers at once and the body at this speed.",
        (("bytes_per_second", 1.0),),
    ),
    FaultKind(
        "trickle_all", Stage.AFTER, "Applied, then status line, headers and body at this speed.",
        (("bytes_per_second", 1.0),),
    ),
    FaultKind(
        "gzip_bomb", Stage.AFTER, "Applied, then the answer and so many MiB of blanks behind it, compressed with gzip.",
        (("megabytes", 1024.0),),
    ),
    FaultKind(
        "padded", Stage.AFTER, "Applied, then the answer and so many MiB of blanks behind it, not compressed.",
        (("megabytes", 64.0),),
    ),
)  # fmt: skip
CATALOGUE = {kind.name: kind for kind in _KINDS}
"""All faults by name."""

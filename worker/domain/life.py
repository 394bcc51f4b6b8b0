"""The life of a request as one table: every state, every allowed step, the event it writes; the Lua scripts obey it."""

from dataclasses import dataclass

NEW = "new"
UNFINISHED = ("accepted", "deferred", "starting", "retrying", "reconciling", "started")
COMPLETED = ("completed", "completed_with_errors", "completed_empty")
RUN_ENDS = (*COMPLETED, "import_failed", "follow_timed_out")
TERMINAL = ("duplicate", "rejected", "gave_up", "start_unknown", *RUN_ENDS)
# What an operator may say of a request that has ended as start_unknown; no end of its own.
NOT_STARTED = "not_started"


@dataclass(frozen=True, slots=True)
class Step:
    """One allowed step; `why` is the sentence the documentation shows."""

    source: str
    target: str
    event: str
    why: str


def _steps(sources: tuple[str, ...], target: str, why: str, event: str | None = None) -> tuple[Step, ...]:
    return tuple(Step(source, target, event or target, why) for source in sources)


LIFE: tuple[Step, ...] = (
    *_steps((NEW,), "accepted", "the request is recorded"),
    *_steps(("accepted", "deferred"), "duplicate", "handled already, in the window without a new file, or superseded"),
    *_steps(("accepted",), "deferred", "a different file inside the window or during a run waits for its turn"),
    *_steps(("accepted", "deferred", "retrying"), "starting", "a worker has the lease"),
    *_steps(("starting",), "starting", "the lease ran out before anything was sent; another worker has it now"),
    *_steps(("starting", "reconciling"), "retrying", "nothing was applied; due again after a pause"),
    *_steps(("starting",), "reconciling", "a start may have been applied; look before anything is sent again"),
    *_steps(("starting", "reconciling", "retrying"), "started", "Marketing Cloud accepted the start"),
    *_steps(("gave_up",), "started", "the Task.ID came late, from a worker that had been frozen"),
    *_steps(("start_unknown", NOT_STARTED), "started", "the Task.ID came late, or an operator gives it"),
    *_steps(("start_unknown",), NOT_STARTED, "an operator says that nothing was started; window and file are free"),
    *_steps(("accepted", "deferred"), "started", "a failover of Redis lost the steps between; the Task.ID is true"),
    *_steps(("reconciling",), "start_unknown", "it cannot be proved whether the start was applied"),
    *_steps(("accepted", "starting"), "rejected", "Marketing Cloud refuses for good, or the request is not valid"),
    *_steps(("starting",), "gave_up", "the retry deadline is over, or it killed too many workers"),
    *_steps(("started",), "started", "the status of the run changed", "progressed"),
    *(step for end in RUN_ENDS for step in _steps(("started",), end, "the run ended, or was followed long enough")),
    *_steps(("follow_timed_out",), "started", "an operator follows the run again", "progressed"),
)


def event_of(source: str, target: str) -> str:
    """Give the event that a step writes; raise KeyError for a step that does not exist."""
    return {(step.source, step.target): step.event for step in LIFE}[source, target]


def as_lua() -> str:
    """Give the table as a Lua expression: source → target → event."""
    sources = dict.fromkeys(step.source for step in LIFE)
    rows = (
        f"{source}={{" + ",".join(f"{step.target}='{step.event}'" for step in LIFE if step.source == source) + "}"
        for source in sources
    )
    return "{" + ",".join(rows) + "}"

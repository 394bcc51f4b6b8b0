"""What Marketing Cloud may do to one request while workers die; each is a preparation of the fake."""

from collections.abc import Callable
from dataclasses import dataclass, field

from sfmc_import.faults import Ambiguous, NotApplied, Rejected
from sfmc_import.policy import Policy
from tests.support.fake_marketing_cloud import FakeMarketingCloud

KEY = "daily"


@dataclass(frozen=True)
class Scenario:
    """`ends` are the outcomes that are true; `most` is how many Performs a request may have applied.

    `points` is how many of the first calls are tried: what follows them is looking again and again.
    """

    name: str
    prepare: Callable[[FakeMarketingCloud], None]
    ends: frozenset[str]
    policy: Policy = field(default_factory=Policy)
    most: int = 1
    findable: bool = True
    points: int = 14


def nothing(_: FakeMarketingCloud) -> None:
    """All is well."""


def faulty_start(fault, *, applied: bool = False, times: int = 1, hidden_looks: int = 0):
    def prepare(cloud: FakeMarketingCloud) -> None:
        cloud.hidden_looks = hidden_looks
        cloud.fail("start", fault, applied=applied, times=times)

    return prepare


def faulty_query(operation: str, fault, times: int, *, doubt: bool = False):
    def prepare(cloud: FakeMarketingCloud) -> None:
        if doubt:
            cloud.fail("start", RESET, applied=True)
        cloud.fail(operation, fault, times=times)

    return prepare


def shows(*statuses: str, hidden_looks: int = 0):
    def prepare(cloud: FakeMarketingCloud) -> None:
        cloud.statuses, cloud.hidden_looks = statuses, hidden_looks

    return prepare


RESET = Ambiguous("reset", "connection reset after the request was sent")
HTTP_500 = Ambiguous("http_status", "500 without a fault")
NO_TASK = Ambiguous("no_task_id", "OK without Task.ID")
CODE_2 = Ambiguous("2", "Exception occurred during [Perform]")
GARBAGE = Ambiguous("unreadable_reply", "not XML")
MAINTENANCE = NotApplied("9", "in maintenance", account_wide=True)
DATABASE = NotApplied("13", "This request was not processed")
LIMITED = NotApplied("17", "rate limited", account_wide=True, retry_after=20.0)
TOKEN = NotApplied("token_refused", "Token Expired", account_wide=True)
REFUSED = NotApplied("refused", "connection refused")
NOT_FOUND = Rejected("43010", "not found")

DONE = frozenset({"completed"})
DONE_OR_UNKNOWN = DONE | {"start_unknown"}
UNKNOWN = frozenset({"start_unknown"})
SHORT = Policy(retry_deadline=600, follow_deadline=600)
REPEAT = Policy(when_ambiguous="repeat")

SCENARIOS = (
    Scenario("all_is_well", nothing, DONE_OR_UNKNOWN),
    Scenario("a_window_of_hours", nothing, DONE_OR_UNKNOWN, Policy(frequency=4)),
    Scenario("drop_before_applying", faulty_start(RESET), UNKNOWN),
    Scenario("drop_after_applying", faulty_start(RESET, applied=True), DONE_OR_UNKNOWN),
    Scenario("http_500_after_applying", faulty_start(HTTP_500, applied=True), DONE_OR_UNKNOWN),
    Scenario("http_500_before_applying", faulty_start(HTTP_500), UNKNOWN),
    Scenario("late_row", faulty_start(RESET, applied=True, hidden_looks=3), DONE_OR_UNKNOWN, points=30),
    Scenario("row_never_seen", faulty_start(RESET, applied=True, hidden_looks=10**6), UNKNOWN, findable=False),
    Scenario("missing_task_id", faulty_start(NO_TASK, applied=True), DONE_OR_UNKNOWN),
    Scenario("fault_2_applied", faulty_start(CODE_2, applied=True), DONE_OR_UNKNOWN),
    Scenario("fault_2_not_applied", faulty_start(CODE_2), UNKNOWN),
    Scenario("garbage_after_applying", faulty_start(GARBAGE, applied=True), DONE_OR_UNKNOWN),
    Scenario("fault_9", faulty_start(MAINTENANCE, times=2), DONE_OR_UNKNOWN),
    Scenario("fault_13", faulty_start(DATABASE, times=4), DONE_OR_UNKNOWN),
    Scenario("fault_17", faulty_start(LIMITED, times=2), DONE_OR_UNKNOWN),
    Scenario("token_expired", faulty_start(TOKEN, times=2), DONE_OR_UNKNOWN),
    Scenario("refused_for_hours", faulty_start(REFUSED, times=10**6), frozenset({"gave_up", "start_unknown"}), SHORT),
    Scenario("rejected_43010", faulty_start(NOT_FOUND, times=10**6), frozenset({"rejected", "start_unknown"})),
    Scenario("definition_query_down", faulty_query("definition", MAINTENANCE, 2), DONE_OR_UNKNOWN),
    Scenario("definition_query_down_in_doubt", faulty_query("definition", MAINTENANCE, 3, doubt=True), DONE_OR_UNKNOWN),
    Scenario("baseline_down", faulty_query("runs_of", DATABASE, 2), DONE_OR_UNKNOWN),
    Scenario("baseline_refused", faulty_query("runs_of", NOT_FOUND, 10**6), frozenset({"rejected"})),
    Scenario("following_down", faulty_query("runs", MAINTENANCE, 3), DONE_OR_UNKNOWN),
    Scenario("slow_run", shows("New", "Processing", "Processing", "IOWork", "Completed"), DONE_OR_UNKNOWN),
    Scenario("row_visible_late", shows("Completed", hidden_looks=3), DONE_OR_UNKNOWN),
    Scenario("run_ends_in_error", shows("Error"), frozenset({"import_failed", "start_unknown"})),
    Scenario("run_never_ends", shows("Processing"), frozenset({"follow_timed_out", "start_unknown"}), SHORT),
    Scenario("repeat_after_drop_before", faulty_start(RESET), DONE, REPEAT, most=2, points=30),
    Scenario(
        "repeat_after_drop_after",
        faulty_start(RESET, applied=True, hidden_looks=200),
        DONE,
        REPEAT,
        most=2,
        findable=False,
    ),
)

"""Renders ops/docs/retrying.md for sfmc_harness.pages; each cell of its table is an answer of `retrying.after`."""

from collections.abc import Iterable, Mapping
from math import inf

from sfmc_import import retrying
from sfmc_import.faults import CODES, SITUATIONS, Ambiguous, Fault, NotApplied, Rejected, after_code, after_situation
from sfmc_import.retrying import Backoff, Next, RetryPolicy, Times, after

INTRODUCTION = """# What follows a failure

This page is written by `python -m sfmc_harness.pages` from `worker/sfmc_import/retrying.py` and
`worker/sfmc_import/faults.py`. A fault says what the failure proves, a policy says which call failed, and one function,
`retrying.after`, decides what follows. Every place that repeats a call asks it.
"""

USES = {
    "IN_CALL": "Perform, within one task",
    "QUERY": "Retrieve, within one task",
    "LEDGER": "a step of the ledger while Redis is unavailable",
    "SCHEDULED": "a request, made due again by the ledger",
    "REPEAT": "a request whose start was sent and left no trace",
    "RECONCILE": "the query that looks for the run of an ambiguous start",
    "LOGIN": "a login that fails, for all requests of a worker process",
    "WATCHER": "a submit of the watcher",
    "API": "a call of the HTTP API by the Python client or a command",
}

FAULTS: tuple[tuple[str, Fault], ...] = (
    ("`NotApplied`", NotApplied("", "")),
    ("`NotApplied`, account-wide", NotApplied("", "", account_wide=True)),
    ("`Ambiguous`", Ambiguous("", "")),
    ("`Ambiguous`, denied", Ambiguous("", "", denied=True)),
    ("`Rejected`", Rejected("", "")),
)

WORDS = {
    retrying.Retry: "retry",
    retrying.Reconcile: "reconcile",
    retrying.Reject: "reject",
    retrying.GiveUp: "give up",
}

RULES = f"""## Rules

- **retry** makes the same call again after a pause. **reconcile** looks for the run before anything is sent again.
  **reject** means that this call is never made again.
- **give up** ends the policy. Within a call the fault goes back, and `SCHEDULED` decides about the request; a request
  that gives up ends as `gave_up`. The retry deadline of a request is in its record in Redis, so the ledger compares it.
- What was sent, or may have been sent, is never given up: it is reconciled, and ends as `started` or `start_unknown`.
- An error of this program (`task_failed`) is a failure like others: no worker died. Before a start was sent it counts
  as `NotApplied`, after that as `Ambiguous`; a look that meets one is made again, and the last one ends as
  `start_unknown`. A run that meets one is asked for again until the deadline to follow it.
- No pause is begun that would end after the deadline.
- `retry_after` of the service (429, 503, any fault, the token endpoint) is a minimum: the pause is the longer of it and
  the backoff. It counts as {retrying.MAX_RETRY_AFTER_SECONDS:.0f} s if it is more, and not at all if it is no finite
  number. Until it is over, a worker makes no other call either, if the answer hits the whole account.
- What failed for the whole account (login, token endpoint, proxy, maintenance, throttling, HTTP 503) is not repeated
  within a call, and ends no single request; nor does a Redis that confirms no intent (`ledger_down`), or that lost
  writes (`writes_lost`): the time does not count against the retry deadline, nor against the
  deadlines to look for a run and to follow it. Connections to the SOAP API that fail do count: after
  `SFMC_RETRY_DEADLINE` a request gives up.
- A login waits as a whole, in each worker process. While the token endpoint fails (any HTTP 5xx, 408, 425, 429, no
  connection, no whole answer), the pause of `LOGIN` is that of all business units, because the limit is that of the
  installed package. While a login is refused (`login_failed`, error 12), it is that of its business unit. Until the
  pause is over no call tries it; then one call does, alone. A token that is still valid is used meanwhile.
- A business unit to which no token is given, while another one gets a token between two refusals, is refused for good
  (`other_business_unit`). That answer, and that there is no such definition (43010), serve all who ask within
  {retrying.REFUSAL_SECONDS:g} s. A request that came after it was asked for is not ended by it: after
  {retrying.CONFIRM_SECONDS:g} s it is decided by a later one.
- Error 11 (not authorised) is `Rejected`: the request ends at once. Error 12 (wrong user name or password) is not: the
  login is wrong and not the request, as while a password is being changed, so requests wait until it is right.
- A query changes nothing. No answer to it is final unless it names a lasting cause: a missing right, an unknown object
  or property, a code that is `Rejected`. A bare HTTP 400 is tried again.
- Of the answers without a fault 401, 403 (`http_refused`), 407 and 429 (token, proxy, throttling) count as not applied,
  and 400 rejects. A server between may give 400, 401, 403 or 429 for a start that it passed on: nothing is sent again
  before the results delay, the next attempt looks for a run first, and a request whose last attempt was answered so is
  looked for once more before it ends. `http_refused` is of the login, or of a server
  between, also where a query was answered right before it: it ends no request. Any other 4xx
  (404, 408, 409, 413 …) is looked up before the start is sent again.
- **denied**: Marketing Cloud says that it did not start, in words or with a code that are not known, with HTTP 503, or
  with such a 4xx (`http_denied`).
  One look after the results delay shows whether a run has appeared; if not, the start is sent again, whatever
  `when_ambiguous` says, after another look right before it. The same unknown refusal a second time is believed and
  rejects. HTTP 503 never rejects. What a server between may have said (503 and other HTTP statuses) is not believed
  at the end: such a request ends without a run as `start_unknown`.
- **Looked for before each further attempt**: the intent of the first attempt that was answered without proof stays. One
  run that has appeared since is taken for its; several make the request `start_unknown`. Until then the request keeps
  its definition, also while it waits for midnight or for the day of its file.
- A refused query does not end the search for a run before the reconcile deadline; at the deadline the request ends as
  `start_unknown`.
- A refused token is renewed and the call made once more, because a refused token means that nothing was done. After
  HTTP 401 and 403 without a fault the token is renewed, and only queries are made once more.
- The poll of a run that is in progress is a schedule, no failure: `runs.next_poll`, from SFMC_FOLLOW_MIN_INTERVAL to
  SFMC_FOLLOW_MAX_INTERVAL.
"""


WITHOUT_JITTER = frozenset({"WATCHER", "CONNECT"})

PAUSES = f"""Defaults, in seconds. `0 to 8` is a random time in between.

The last four are pauses only: `CONNECT` is for connections to Redis at the start and for readers of events,
`REDIS_COMMAND` for one command with the connection that it needs, `PUBLISH` and `BROKER_CONNECT` for kombu. A wake-up
that was lost is sent again after {retrying.WAKE_PAUSE_SECONDS:g} s, or half a lease if that is less.
"""


def render() -> str:
    """Give the page as Markdown."""
    return f"{INTRODUCTION}\n{_decisions()}\n{RULES}\n{_pauses()}\n{_classes()}"


def _decisions() -> str:
    rows = [(f"`{policy.name}`", USES[policy.name], *_row(policy)) for policy in retrying.POLICIES]
    titles = ("policy", "what failed", *(title for title, _ in FAULTS))
    return "\n".join(("## Fault and policy → what happens", "", _table(titles, rows)))


def _row(policy: RetryPolicy) -> Iterable[str]:
    return (_cell(fault, policy) for _, fault in FAULTS)


def _cell(fault: Fault, policy: RetryPolicy) -> str:
    """What follows the first failure, and what follows one when all time is over, if that differs."""
    first = _word(after(fault, 1, Times(chance=0.5), policy))
    last = _word(after(fault, 10**6, Times(chance=0.5, spent=10**9, left_of_deadline=0.0), policy))
    again = _word(after(fault, 2, Times(chance=0.5, looked_up=fault.code), policy))
    if again != first:
        return f"{first}; the second time {again}"
    has_deadline = policy.deadline < inf or policy.name in {"SCHEDULED", "REPEAT", "RECONCILE"}
    if policy.name == "RECONCILE" and last == "reject":
        last = "the search ends (`start_unknown`)"
    return first if first == last or not has_deadline else f"{first}; at the deadline {last}"


def _word(step: Next) -> str:
    return WORDS[type(step)]


def _pauses() -> str:
    rows = [(f"`{policy.name}`", _range(policy.backoff, policy.name), *_limits(policy)) for policy in retrying.POLICIES]
    rows.append(("`CONNECT`", _range(retrying.CONNECT, "CONNECT"), "any number", "none"))
    deadline = f"{retrying.REDIS_COMMAND_SECONDS:g}"
    rows.append(("`REDIS_COMMAND`", _range(retrying.REDIS_COMMAND), f"{1 + retrying.REDIS_COMMAND_RETRIES}", deadline))
    rows.append(("`PUBLISH`", _steps(retrying.PUBLISH), f"{1 + retrying.PUBLISH['max_retries']:.0f}", "none"))
    rows.append(("`BROKER_CONNECT`", _steps(retrying.BROKER_CONNECT), "any number", "none"))
    table = _table(("policy", "pause after the first failure … longest pause", "attempts", "deadline"), rows)
    return f"## Pauses\n\n{PAUSES}\n{table}"


def _range(backoff: Backoff, name: str = "") -> str:
    return " … ".join(_bounds(backoff, tries, name) for tries in (1, 64))


def _bounds(backoff: Backoff, tries: int, name: str) -> str:
    bound, least = backoff.pause(tries, 1.0), backoff.pause(tries, 0.0)
    return f"{bound:g}" if bound == least or name in WITHOUT_JITTER else f"{least:g} to {bound:g}"


def _steps(kombu: Mapping[str, float]) -> str:
    return f"{kombu['interval_start']:g} … {kombu['interval_max']:g}"


def _limits(policy: RetryPolicy) -> tuple[str, str]:
    deadline = "SFMC_RETRY_DEADLINE" if policy.name == "SCHEDULED" else "none"
    if policy.name == "RECONCILE":
        deadline = "SFMC_RECONCILE_DEADLINE"
    return (
        "any number" if policy.attempts == inf else f"{policy.attempts:.0f}",
        deadline if policy.deadline == inf else f"{policy.deadline:g}",
    )


def _classes() -> str:
    rows = [(f"`{name}`", _class(after_situation(name, ""))) for name in SITUATIONS]
    rows += [(f"{code}", _class(after_code(code, ""))) for code in CODES]
    note = (
        "Words are what happened on the way, numbers are codes of Marketing Cloud. Other codes, and texts without"
        " a code, are `Ambiguous`, denied."
    )
    return "\n".join(("## Class of each fault", "", note, "", _table(("fault", "class"), rows)))


def _class(fault: Fault) -> str:
    words = [f"`{type(fault).__name__}`"]
    words += ["account-wide"] if retrying.is_account_wide(fault) else []
    words += ["denied"] if isinstance(fault, Ambiguous) and fault.denied else []
    return ", ".join(words)


def _table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(titles)
    return "".join(f"| {' | '.join(line)} |\n" for line in (head, ["---"] * len(head), *rows))

"""Describes every key of the ledger once: name, type, fields, time to live.

The key functions of the Lua scripts (lua_names.py), the readers in Python and ops/docs/ledger.md
are made from it; keys.py gives the whole names.
"""

from sfmc_import.ledger.key_kinds import (
    ANY,
    COMPLETED,
    FILE_FIELDS,
    HOME,
    PLACE_WAITERS,
    PLACES,
    REFRESHED,
    RENAMED,
    SHARED,
    WAITERS,
    Field,
    Key,
    RequestKey,
)
from sfmc_import.ledger.loss_keys import LOSS_KEYS
from sfmc_import.ledger.notification_keys import NOTIFICATION_KEYS
from sfmc_import.ledger.operator_keys import OPERATOR_KEYS
from sfmc_import.ledger.quota_keys import QUOTA_KEYS
from sfmc_import.ledger.token_keys import TOKEN_KEYS
from sfmc_import.ledger.watching_keys import WATCHING_KEYS

# Names are as short as one or two letters where the field stays in every finished request: long names for these
# cost 19 bytes of a packed record (Valkey 9). The other names are long: they cost 16 bytes of 176 in a
# definition without a run, up to 76 bytes of 1,072 in an unfinished request, and nothing after its end.
REQUEST = RequestKey(
    name="request",
    letter="r",
    parts=("request_id",),
    redis_type="hash",
    ttl=("unfinished_ttl", "request_ttl"),
    meaning="A request. The first time counts from its next due time, the second from its end.",
    fields=(
        Field(name="state", meaning="where it stands: a state of states.md"),
        Field(
            name="since",
            kind="ms",
            kept_at_end=False,
            meaning="when it came into this state; after the end its newest event says so",
        ),
        Field(name="at", kind="ms", attribute="accepted_at", meaning="when it was recorded"),
        Field(name="attempt", kind="int", meaning="how many leases it had"),
        Field(name="mid", meaning="the business unit"),
        Field(
            name="key",
            attribute="customer_key",
            meaning="the CustomerKey of the definition: as asked for, then as Marketing Cloud spells it",
        ),
        Field(name="asked", attribute="asked_key", meaning="the CustomerKey as asked for, if spelled otherwise"),
        Field(name="object", attribute="object_id", meaning="the ObjectID, if the definition was asked for by that"),
        Field(
            name="definition",
            kind="json",
            attribute="first_read",
            kept_at_end=("start_unknown",),
            meaning="the definition as it was read first; with it `key` is resolved",
        ),
        Field(
            name="early",
            kind="flag",
            attribute="read_before",
            kept_at_end=("start_unknown",),
            meaning="`definition` was read before the request came: nothing is compared with it",
        ),
        Field(
            name="postponed",
            kind="flag",
            kept_at_end=False,
            meaning="`retrying` without the definition: it is decided anew when due",
        ),
        *FILE_FIELDS,
        Field(name="event_id", meaning="the id of the source event"),
        Field(name="source", meaning="which source sent it"),
        Field(name="reason", meaning="why a person asked for it"),
        Field(name="replays", meaning="the request that an operator asked for again with this one"),
        Field(name="arrived", kind="ms", meaning="of a replay: when the first of the requests that it repeats came"),
        Field(name="replayed", attribute="replayed_by", meaning="the newest request with which it was asked for again"),
        Field(name="reply_to", meaning="the task of the sender that each end of it is sent to"),
        Field(name="reply_queue", meaning="the queue of that task"),
        Field(name="force", kind="flag", meaning="it does not wait for the window"),
        Field(name="home", meaning="the CustomerKey that its definition had first, if it was changed since"),
        Field(name="c", attribute="content", meaning="a digest of what was asked for; the id is refused for any other"),
        Field(name="caller", kept_at_end=False, meaning="the Celery task whose sender waits for its result"),
        Field(name="expires", kind="ms", kept_at_end=False, meaning="the deadline of the sender: no start after it"),
        Field(
            name="call", kept_at_end=False, meaning="the call that recorded it; the same call again is no second one"
        ),
        Field(name="n", kind="int", attribute="events", meaning="how many events were published about it"),
        Field(
            name="l",
            attribute="places",
            meaning="where its events stand in the stream: milliseconds since `at` and, after a point, the number in"
            " them; the first and the newest, 1,000 bytes at most",
        ),
        Field(
            name="fence",
            kind="int",
            attribute="fencing_token",
            kept_at_end=("follow_timed_out",),
            meaning="the newest fencing token that it was given",
        ),
        Field(name="loss", kept_at_end=False, meaning="the write loss that its claim knew of, by its time"),
        Field(
            name="after",
            kept_at_end=False,
            meaning="the write loss, by its time, before which it is not proved to have been recorded",
        ),
        Field(
            name="born", kept_at_end=False, meaning="the write loss, by its time, that was noted when it was recorded"
        ),
        Field(
            name="no_proof",
            kept_at_end=False,
            meaning="1: it is not proved to have been recorded before the write losses that its claim knew of",
        ),
        Field(name="owner", kept_at_end=False, meaning="the worker that has the lease; empty when it was given back"),
        Field(
            name="resolving",
            kind="ms",
            attribute="resolving_until",
            kept_at_end=False,
            meaning="a worker reads its definition or its run, and holds the request for so long; 0: a suspect waits",
        ),
        Field(name="sent", kind="flag", kept_at_end=False, meaning="the attempt of the lease may have been applied"),
        Field(
            name="answer_by",
            kind="ms",
            kept_at_end=False,
            meaning="until when the worker that sent the attempt waits for its answer, by its own settings",
        ),
        Field(name="retry_until", kind="ms", kept_at_end=False, meaning="no attempt begins after this time"),
        Field(name="not_before", kind="ms", kept_at_end=False, meaning="the next attempt or check is not before"),
        Field(
            name="worker_losses",
            kind="int",
            kept_at_end=("follow_timed_out",),
            meaning="workers lost with it since the last answer; above 0 it is a suspect",
        ),
        Field(name="lost_owner", kept_at_end=False, meaning="the worker that was counted as lost last"),
        Field(name="outlived", kept_at_end=False, meaning="its worker lives, and could not reach Redis: no loss"),
        Field(
            name="known",
            kind="json",
            attribute="known_task_ids",
            kept_at_end=("start_unknown",),
            meaning="the intent: the TaskResultIDs that existed before the attempt",
        ),
        Field(
            name="above",
            attribute="known_up_to",
            kept_at_end=("start_unknown",),
            meaning="the intent: all TaskResultIDs up to this one existed; instead of a list",
        ),
        Field(
            name="bound", kept_at_end=("start_unknown",), meaning="the intent: TaskResultIDs up to it were not listed"
        ),
        Field(
            name="window",
            kind="int",
            kept_at_end=("start_unknown",),
            meaning="the intent: the window of its start in ms",
        ),
        Field(
            name="intended",
            kind="ms",
            attribute="intended_at",
            kept_at_end=False,
            meaning="the intent: when it was written; no run of the start began before",
        ),
        Field(
            name="forgot",
            kind="ms",
            attribute="forgotten_from",
            kept_at_end=False,
            meaning="the intent: nothing was sent, and a start that Redis forgot is looked for: a run that began before"
            " this time is named, and not taken; 0: any run",
        ),
        Field(
            name="sent_until",
            kind="ms",
            kept_at_end=False,
            meaning="when its newest attempt in doubt was over: no start of it was sent later without an answer",
        ),
        Field(name="reconcile_until", kind="ms", kept_at_end=False, meaning="the deadline for finding the run"),
        Field(name="first_look", kept_at_end=False, meaning="1: its run is looked for several times, and was not yet"),
        Field(
            name="denied",
            kept_at_end=False,
            meaning="the code of a start that Marketing Cloud denied without proof; empty after any other doubt",
        ),
        Field(
            name="unproved",
            kind="flag",
            kept_at_end=False,
            meaning="an earlier attempt was answered without proof that nothing was applied: its intent stays,"
            " and one run that has appeared since is taken for its",
        ),
        Field(
            name="unlooked",
            kind="flag",
            kept_at_end=False,
            meaning="no run was looked for since the results delay of an answer without proof",
        ),
        Field(
            name="ending",
            kind="json",
            kept_at_end=False,
            meaning="how the request ends if the look after an answer without proof finds no run",
        ),
        Field(
            name="doubted",
            kind="flag",
            kept_at_end=False,
            meaning="an attempt that may have been applied was repeated; an end without a run is start_unknown",
        ),
        Field(name="task", attribute="task_id", meaning="the Task.ID of its run"),
        Field(name="soap", attribute="soap_request_id", meaning="the RequestID of the accepted Perform"),
        Field(
            name="status",
            attribute="import_status",
            meaning="the last status of the run that Marketing Cloud gave; `completed` without it: Completed",
        ),
        Field(name="polls", kind="int", kept_at_end=False, meaning="how often the run was polled"),
        Field(
            name="polled",
            kind="ms",
            attribute="polled_at",
            kept_at_end=False,
            meaning="when a worker asked for its definition or its run last; without an answer as long as `resolving`"
            " is there, or while it reconciles as `owner` is",
        ),
        Field(
            name="started",
            kind="ms",
            attribute="started_at",
            kept_at_end=("follow_timed_out",),
            meaning="when the run was recorded",
        ),
        Field(name="follow_until", kind="ms", kept_at_end=False, meaning="the deadline for following the run"),
        Field(
            name="places",
            attribute="counts_in",
            kept_at_end=False,
            meaning="the groups with a limit of runs in which it counts",
        ),
        Field(name="turn", kept_at_end=False, meaning="the group in which a place is kept for it"),
        Field(name="waits_place", kept_at_end=False, meaning="the group in which it waits for a place"),
        Field(name="held_by", meaning="the request that made this one a duplicate"),
        Field(
            name="settled",
            attribute="settled_by",
            meaning="the newer request after whose import nothing of this one can be missing",
        ),
        Field(name="settler", attribute="settled_operator", meaning="who said that its bad end is dealt with"),
        Field(name="settler_why", attribute="settled_reason", meaning="why"),
        Field(name="settled_place", meaning="where that event of it stands in the stream, as in `l`"),
        Field(
            name="newer",
            attribute="newer_import",
            meaning="the newest request that has imported another file of the same name since",
        ),
        Field(
            name="wait",
            attribute="waits_because",
            kept_at_end=False,
            meaning="why it waits: a reason of waiting.md; empty when it does not wait",
        ),
        Field(
            name="wait_since",
            kind="ms",
            attribute="waits_since",
            kept_at_end=False,
            meaning="since when it waits for that, or for something else that kept it from its start in the same way;"
            " attempts between do not count",
        ),
        Field(name="waited", kept_at_end=False, meaning="why it waited before its newest attempt"),
        Field(name="waited_since", kind="ms", kept_at_end=False, meaning="since when it had waited for that"),
        Field(
            name="wait_by",
            attribute="waits_behind",
            kept_at_end=False,
            meaning="the request that is in its way, or for `after` the definition",
        ),
        Field(
            name="error",
            kind="json",
            attribute="last_error",
            kept_at_end=False,
            meaning="what failed last: code, text, the time in ms, since when it fails with this code, and which other"
            " one failed first; a look that finds no run keeps the cause of the doubt, and an answered poll removes it",
        ),
    ),
)
DEFINITION = Key(
    name="definition",
    letter="d",
    parts=("mid", "customer_key"),
    redis_type="hash",
    ttl=("unfinished_ttl",),
    meaning="A definition: who holds it and its window. The time counts from the end of the window.",
    fields=(
        Field(name="holder", meaning="the request between `starting` and the end of its run"),
        Field(name="fence", kind="int", attribute="fencing_token", meaning="the newest fencing token; it only grows"),
        Field(name="lease", kind="ms", attribute="lease_until", meaning="when the lease is over; 0 when given back"),
        Field(name="window", kind="ms", attribute="window_until", meaning="when the window is over"),
        Field(name="window_by", meaning="the request that opened the window"),
        Field(
            name="previous_window", kind="ms", meaning="the end of an earlier window, for a start that ends in Error"
        ),
        Field(
            name="window_from",
            kind="ms",
            attribute="window_since",
            meaning="the start from which MaxImportFrequency counts; 0 for a pause after an Error",
        ),
        Field(
            name="window_read", kind="ms", meaning="when the window was computed: readings from before do not change it"
        ),
        Field(name="previous_from", kind="ms", meaning="the start of the earlier window"),
        Field(name="previous_window_by", meaning="the request that opened the earlier window"),
        Field(name="own_window", kind="ms", meaning="beside an earlier window: the end of the later one alone"),
        Field(
            name="errors",
            kind="int",
            attribute="consecutive_errors",
            meaning="how many runs in a row ended in Error; the pause after each is longer",
        ),
        Field(name="last_rows", kind="int", meaning="how many rows the last completed run had that had any"),
        Field(
            name="candidates",
            kind="json",
            meaning="while a write loss is in force: TaskResultIDs of no request that a `start_unknown` has named",
        ),
        Field(
            name="unknown",
            kind="json",
            meaning="requests that ended as `start_unknown` and were not resolved, or without a start after an attempt"
            " that was answered without proof: each with the time in ms until which its start may have been sent. A"
            " later start in doubt takes no run from before. Beyond ten the two oldest are one, without an id",
        ),
        Field(name="named", meaning="the key that it has now, in small letters, if that is not its first one"),
    ),
)
DEFINITIONS = Key(
    name="definitions",
    letter="definitions",
    redis_type="hash",
    ttl=("unfinished_ttl",),
    fields=(Field(name=ANY, meaning="MID:key in small letters → the CustomerKey as Marketing Cloud spells it"),),
    meaning="The definitions that requests were for. Bounded by those of the account. The time counts from the newest"
    " request.",
)
FOLLOW_UPS = Key(
    name="follow_ups",
    letter="w",
    parts=("mid", "customer_key"),
    redis_type="zset",
    ttl=("unfinished_ttl",),
    meaning="Follow-ups: request id → time of arrival, forced ones first. The time counts from the next turn.",
)
NAMES = Key(
    name="names",
    letter="n",
    parts=("mid", "customer_key"),
    redis_type="hash",
    ttl=("unfinished_ttl",),
    fields=(Field(name=ANY, meaning="file name → request id"),),
    meaning="The newest follow-up of each file name. The time counts from the next turn.",
)
SEEN = Key(
    name="seen",
    letter="s",
    parts=("mid", "customer_key", "fingerprint"),
    redis_type="string",
    ttl=("seen_ttl",),
    meaning="Which request a file was handled by.",
)
EVENT = Key(
    name="event",
    letter="e",
    parts=("mid", "customer_key", "event_id"),
    redis_type="string",
    ttl=("seen_ttl",),
    meaning="Which request a source event was handled by.",
)
TASK = Key(
    name="task",
    letter="t",
    parts=("mid", "task_id"),
    redis_type="string",
    ttl=("request_ttl",),
    meaning="Which request a TaskResultID is assigned to.",
)
REPORT = Key(
    name="report",
    letter="a",
    parts=("report_id", "event_name"),
    redis_type="string",
    ttl=("seen_ttl",),
    meaning="`1`: this event about an arrival that became no request was published.",
)
SUSPECT = Key(
    name="suspect",
    letter="suspect",
    redis_type="hash",
    ttl=("lease",),
    fields=(
        Field(name="holder", meaning="the request id"),
        Field(name="lease", kind="ms", attribute="lease_until", meaning="when its lease is over"),
    ),
    meaning="The only suspect that acts: it has a lease or is held. The time counts from the newest renewal.",
)
SUSPECTS = Key(
    name="suspects",
    letter="suspects",
    redis_type="zset",
    ttl=("unfinished_ttl",),
    meaning="Suspects that wait: request id → since when it is in its state. The time counts from the newest entry.",
)
RESULTS = Key(
    name="results",
    letter="results",
    redis_type="hash",
    ttl=("unfinished_ttl",),
    fields=(Field(name=ANY, meaning="request id → Celery task id"),),
    meaning="Requests that have started or ended, and whose sender waits for the result. The next sweep stores it.",
)
PROCESSES = Key(
    name="processes",
    letter="processes",
    redis_type="zset",
    ttl=("probe_ttl",),
    meaning="Workers and beats: a JSON text → time of the last heartbeat. The time counts from the newest.",
)
ACCOUNT = Key(
    name="account",
    letter="account",
    redis_type="hash",
    fields=(
        Field(name="account", meaning="business unit and host of the SOAP API"),
        Field(name="since", kind="ms", meaning="since when"),
        Field(name="before", meaning="the account it was taken from by an operator"),
    ),
    meaning="The account that the ledger belongs to. Bounded: one key.",
)
DUPLICATES = Key(
    name="duplicates", letter="u", parts=("request_id",), redis_type="zset", ttl=("request_ttl",),
    meaning="The newest ten duplicates of a request that has not started: request id → time of arrival. One is taken up"
    " if that request ends without a start. Until then their records keep all fields.",
)  # fmt: skip
DELIVERY = Key(
    name="delivery",
    letter="delivery",
    parts=("place",),
    redis_type="hash",
    ttl=("request_ttl",),
    fields=(
        Field(name=ANY, meaning="fingerprint, request, state, size, token, lease (until when in s; 0: given back)"),
    ),
    meaning="A name at a target to which files are delivered (a digest of target, folder and name).",
)
LOCK_OUT = Key(
    name="lock_out", letter="lock_out", parts=("target",), redis_type="string", ttl=("request_ttl",),
    meaning="When a target refused a login, in seconds since 1970: no process tries it for its `lock_out`.",
)  # fmt: skip
INBOX = Key(
    name="inbox", letter="inbox", parts=("source",), redis_type="stream",
    meaning="Events that were posted to a source whose files are delivered, each in the field `event`, until its file"
    " is handled by `sfmc-import source`. Bounded: 100,000 events of 16,384 bytes; then senders must come later.",
)  # fmt: skip
FOLLOWS = Key(
    name="follows", letter="follows", redis_type="zset", ttl=("unfinished_ttl",),
    meaning="Those of `due` that have a run to be polled, with the same times. The time counts from the newest entry.",
)  # fmt: skip
DUE = Key(
    name="due", letter="due", redis_type="zset",
    meaning="Request id → next time in ms. Bounded: it holds unfinished requests only.",
)  # fmt: skip
STREAM = Key(
    name="stream", letter="", redis_type="stream",
    fields=(Field(name="event", kind="json", meaning="a CloudEvent"),),
    meaning="The events. Bounded by `stream_maxlen`. It keeps its plain name, without the tag.",
)  # fmt: skip
KEYS = (
    REQUEST, DEFINITION, DEFINITIONS, HOME, RENAMED, FOLLOW_UPS, NAMES, SEEN, EVENT, TASK, REPORT, *LOSS_KEYS,
    SUSPECT, SUSPECTS, RESULTS, PROCESSES, ACCOUNT, *WATCHING_KEYS, DUPLICATES, DELIVERY,
    LOCK_OUT, INBOX, *OPERATOR_KEYS, COMPLETED, WAITERS, PLACES, PLACE_WAITERS, FOLLOWS,
    SHARED, REFRESHED, *TOKEN_KEYS,
    *NOTIFICATION_KEYS, *QUOTA_KEYS, DUE, STREAM,
)  # fmt: skip

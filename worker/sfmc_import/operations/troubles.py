"""What keeps every request of a business unit waiting: since when, the codes, and what somebody must do."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Any

from sfmc_import.access import ReadAccess
from sfmc_import.display import clause
from sfmc_import.faults import ACCOUNT_WIDE
from sfmc_import.operations.absent import absent_kinds, go_on_with
from sfmc_import.operations.causes import with_cause
from sfmc_import.operations.fixing import Login, advice_for, fix_for, login_of, naming_processes
from sfmc_import.operations.gathering import gather
from sfmc_import.operations.in_doubt import missing
from sfmc_import.operations.in_trouble import Alike, Hit, hit_of
from sfmc_import.operations.open_circuits import UNTRIED_SECONDS, OpenCircuit, open_circuits
from sfmc_import.operations.paused_too import all_paused
from sfmc_import.operations.requests import read_views
from sfmc_import.operations.views import RequestView, Time, View, time_of
from sfmc_import.redaction import hidden
from sfmc_import.waiting import BUDGET, NO_ANSWER, NOT_FOUND_OUT, UNANSWERED, sentence

_HELD = "circuit_open"
"""The code of a call that was not made; what failed is the code of the circuit."""

_OF_CIRCUITS = (_HELD, "rate_limited")
"""Reasons of requests that met a circuit."""

NAMED = 5
"""Definitions that a trouble names in its sentence."""

LINES = 5
"""Codes of one reason in one business unit that have a line of their own; further ones share the last line."""

LISTED = 50
"""Definitions of which a trouble has the keys."""


class TroubleView(View):
    """One of them: a reason of waiting.md with its sentence, since when it lasts, the codes of failures, what to do.

    The reason is `no_answer` where Marketing Cloud has not answered for long, and nothing has failed yet. `runs` are
    those that cannot be asked for, or say something odd. `until` is when the first of them is tried anew, `failed_by`
    the processes and the logins whose calls failed, where that is known. `requests` counts those that are hit: of all,
    or where `looked_at` is given of so many that are due next; `customer_keys` names definitions of them, not more than
    50. The first is given up at `deadline`, and has the state `then` after it, if nothing changes. `mid` is empty where
    it holds for every business unit.
    """

    mid: str
    reason: str
    text: str
    since: Time | None
    until: Time | None = None
    codes: tuple[str, ...]
    advice: str
    runs: int = 0
    failed_by: str | None = None
    requests: int = 0
    customer_keys: tuple[str, ...] = ()
    deadline: Time | None = None
    then: str | None = None
    looked_at: int | None = None

    @property
    def about(self) -> str:
        """What it holds for."""
        return f"business unit {self.mid}" if self.mid else "all business units"

    def next_try(self, now: datetime) -> str:
        """When the first is tried anew; empty where that is not known, or past."""
        if self.until is None or self.until <= now:
            return ""
        day = "" if self.until.date() == now.date() else f"{self.until:%Y-%m-%d} "
        return f" Next try at {day}{self.until:%H:%M:%S} UTC."

    @property
    def affected(self) -> str:
        """Which requests it hits, and what becomes of them if nothing changes; empty where none is known."""
        if not self.requests:
            return ""
        names = ", ".join(self.customer_keys[:NAMED])
        more = " and others" if len(self.customer_keys) > NAMED else ""
        requests = "1 request" if self.requests == 1 else f"{self.requests} requests"
        among = "" if self.looked_at is None else f" of the {self.looked_at:,} that are due next"
        end = "" if self.deadline is None else f"; {self._end}"
        return f"It holds {requests}{among}, of {names}{more}{end}."

    @property
    def _end(self) -> str:
        which = "it ends" if self.requests == 1 else "the first ends"
        return f"if nothing changes, {which} as {self.then} by {self.deadline:%Y-%m-%d %H:%M:%S} UTC"

    @property
    def asked_for(self) -> dict[str, str]:
        """The filter of the list that has the requests."""
        return {"list": "unfinished"} if self.reason == NO_ANSWER else {"waiting": self.reason}


def troubles(access: ReadAccess) -> tuple[TroubleView, ...]:
    """Give what is in the way of requests that wait, of runs and of what comes: once for a business unit and a code."""
    found = gather(access)
    views = read_views(access, found.request_ids)
    sorted_views = sorted_out(views, open_circuits(access), login_of(access.settings), access.reader.now(), found.alike)
    kinds = absent_kinds(missing(access)) if sorted_views else ()
    return with_cause(access, (_completed(each, kinds, found.looked_at) for each in sorted_views))


def _completed(trouble: TroubleView, kinds: tuple[str, ...], looked_at: int | None) -> TroubleView:
    """Add which processes must run before anything goes on, and of how many requests it is said."""
    of = looked_at if trouble.requests else None
    return trouble.model_copy(update={"advice": go_on_with(trouble.advice, kinds), "looked_at": of})


def troubles_of(access: ReadAccess, mid: str) -> tuple[TroubleView, ...]:
    """Give those that hold for a business unit."""
    return tuple(each for each in troubles(access) if each.mid in {"", mid})


def sorted_out(
    due: Iterable[RequestView],
    circuits: Sequence[OpenCircuit],
    login: Login = "",
    now: float = 0.0,
    alike: Mapping[str, Alike] | None = None,
) -> tuple[TroubleView, ...]:
    """Sort requests by what is in their way; `circuits` let no call pass, also without a request.

    Without the time nothing is said to be unanswered for long. `alike` are others, by the request that stands for them.
    """
    hits = (_of_one_code(hit, circuits) for hit in _hits(due, now, alike or {}))
    groups = groupby(sorted(hits, key=_order), key=Hit.place)
    found = [_trouble(*place, each, circuits, login) for place, hits in groups for each in _by_code(list(hits))]
    idle = (each for each in circuits if not any(_says(trouble, each) for trouble in found))
    return (*(_of_circuit(each, login, is_met=any(_meets(one, each) for one in found)) for each in idle), *found)


def _hits(due: Iterable[RequestView], now: float, alike: Mapping[str, Alike]) -> Iterator[Hit]:
    for view in due:
        if (hit := hit_of(view, now)) is not None:
            is_overdue = hit.until is not None and now - hit.until.timestamp() > UNTRIED_SECONDS
            yield replace(hit, alike=alike.get(view.request_id, Alike()), is_overdue=is_overdue)


def _of_one_code(hit: Hit, circuits: Sequence[OpenCircuit]) -> Hit:
    """Give a hit the code by which it is brought together with others: that of the circuit that holds it."""
    held_by = _circuits_of(hit.mid, [hit.code], circuits) if hit.reason == _HELD else []
    return replace(hit, group=held_by[0].code if held_by else hit.code or hit.odd)


def _by_code(hits: Sequence[Hit]) -> list[list[Hit]]:
    """Part hits of one reason by what failed; beyond a number of codes the newest ones share the last part."""
    codes = tuple(dict.fromkeys(each.group for each in hits))
    place = {code: min(number, LINES - 1) for number, code in enumerate(codes)}
    return [[each for each in hits if place[each.group] == number] for number in range(min(len(codes), LINES))]


def _order(hit: Hit) -> tuple[tuple[str, str], float, str]:
    """Order hits by their begin, so that the same ones are said in the same words."""
    return hit.place(), 0.0 if hit.since is None else hit.since.timestamp(), hit.code


def _says(trouble: TroubleView, circuit: OpenCircuit) -> bool:
    """Tell whether a trouble of requests names this circuit: what is throttled waits with a reason of its own."""
    return trouble.reason in _OF_CIRCUITS and circuit.holds(trouble.mid) and circuit.code in trouble.codes


def _meets(trouble: TroubleView, circuit: OpenCircuit) -> bool:
    """Tell whether runs, or starts in doubt, cannot be asked for because of this circuit."""
    return circuit.holds(trouble.mid) and circuit.code in trouble.codes


def _of_circuit(circuit: OpenCircuit, login: Login, *, is_met: bool) -> TroubleView:
    """Say of a circuit that no request which waits to start has met yet what the next file or request will."""
    whose = "with one login" if circuit.is_of_login else "to Marketing Cloud"
    failed = f": {clause(hidden(circuit.text))}" if circuit.text else ""
    verb = "failed" if circuit.is_untried else "fail"
    known_by = "" if circuit.is_untried else circuit.by
    by = f" It failed for {known_by}." if known_by else ""
    comes = _WITH_ONE_LOGIN if circuit.is_of_login else (WHAT_COMES_WAITS, NO_FILE_STARTS)
    follows = NO_ONE_TRIES if circuit.is_untried else comes[0] if is_met else comes[1]
    return TroubleView(
        mid=circuit.mid,
        reason=_HELD,
        text=f"Calls {whose} {verb}{failed}.{by} {follows}",
        since=time_of(circuit.since),
        until=None if circuit.is_untried else time_of(circuit.until),
        codes=(circuit.code,) if circuit.code else (),
        advice=_if_again(circuit.code, login) if circuit.is_untried else _for_login(circuit.code, known_by, login),
        failed_by=known_by or None,
    )


def _for_login(code: str, failed_by: str, login: Login) -> str:
    return naming_processes(advice_for((code,), login), failed_by)


def _if_again(code: str, login: Login) -> str:
    return f"If it fails again: {fix_for(code, login)}."


NO_ONE_TRIES = (
    "No process has tried again since its pause ended: none has a call to make, or none with this login runs. The next"
    " call tries."
)
NO_REQUEST_TRIED = (
    "Calls failed, and no process has tried again since the pause after that ended: whether they work now is known when"
    " a process with this login takes a request up."
)
NO_FILE_STARTS = (
    "No request waits for it yet: what comes will, and new definitions are not seen. One call at a time tries again."
)
WHAT_COMES_WAITS = "What comes will wait for it, and new definitions are not seen. One call at a time tries again."
_OTHERS_GO_ON = "one with another login goes on. One call at a time tries again."
_WITH_ONE_LOGIN = (
    f"What a process with this login takes will wait for it; {_OTHERS_GO_ON}",
    f"No request waits for it yet: what a process with this login takes will; {_OTHERS_GO_ON}",
)
"""The same of one login, where runs wait for it and where nothing does: others may work."""


def _are_untried(
    mid: str, reason: str, codes: Sequence[str], circuits: Sequence[OpenCircuit], hits: Sequence[Hit]
) -> bool:
    """Tell whether these requests wait for a circuit whose pause is over, or is forgotten, and no process tries."""
    if reason not in _OF_CIRCUITS or not {*codes} <= ACCOUNT_WIDE:
        return False
    found = [each for each in circuits if each.holds(mid) and each.code in codes]
    return all(each.is_untried for each in found) if found else all(each.is_overdue for each in hits)


def _circuits_of(mid: str, codes: Sequence[str], circuits: Sequence[OpenCircuit]) -> list[OpenCircuit]:
    """Give the circuits that hold these requests: several logins may fail, and that of others be open beside them."""
    found = [each for each in circuits if each.holds(mid) and not each.is_untried]
    same = [each for each in found if each.code in codes]
    of_all = [each for each in found if not each.is_of_login]
    return same or of_all or (found if {*codes} <= {_HELD} else [])


def _trouble(mid: str, reason: str, hits: Sequence[Hit], circuits: Sequence[OpenCircuit], login: Login) -> TroubleView:
    codes = [each.code or each.odd for each in hits]
    held_by = _circuits_of(mid, codes, circuits) if reason == _HELD else []
    # Something else may have held the oldest of these requests before.
    opened = [begun for each in held_by if (begun := time_of(each.since))]
    moments = opened or [each.since for each in hits if each.since is not None]
    if held_by:
        codes = [*(each.code for each in held_by), *(code for code in codes if code != _HELD)]
    failed_by = ", ".join(dict.fromkeys(each.by for each in held_by if each.by))
    known = tuple(dict.fromkeys(code for code in codes if code))
    is_untried = _are_untried(mid, reason, known, circuits, hits)
    text = NO_REQUEST_TRIED if is_untried else f"{_sentence(reason, known, hits)}{_said_of_first(hits)}"
    count = sum(1 + each.alike.count for each in hits)
    return TroubleView(
        mid=mid,
        reason=reason,
        text=f"{text} It failed for {failed_by}." if failed_by else text,
        since=min(moments, default=None),
        until=None if is_untried else min((each.until for each in hits if each.until is not None), default=None),
        codes=known,
        advice=all_paused(
            naming_processes(_advice(known, hits, login), failed_by),
            [each.pause_of_all for each in hits if each.is_waiting],
        ),
        runs=count if reason == "following" else 0,
        failed_by=failed_by or None,
        requests=count,
        customer_keys=_keys(hits),
        **_first_end(hits),
    )


def _keys(hits: Sequence[Hit]) -> tuple[str, ...]:
    found = {each.customer_key for each in hits}.union(*(each.alike.customer_keys for each in hits))
    return tuple(sorted(found)[:LISTED])


def _said_of_first(hits: Sequence[Hit]) -> str:
    """Say which other code failed first, if neither a success nor another wait came since; empty where none did."""
    first = min((each.first for each in hits if each.first), default=None)
    return "" if first is None else f" Before that calls failed with code {first[1]}, first at {first[0]:{_AT}} UTC."


_AT = "%Y-%m-%d %H:%M:%S"
LOOK_AT_RUNS = "look at the runs in Marketing Cloud; they are followed on until their deadline"
_LIKE_A_TIMEOUT = ("read_timeout",)
"""What helps where nothing has failed yet is what helps after that."""


def _advice(codes: tuple[str, ...], hits: Sequence[Hit], login: Login) -> str:
    is_silent = any(each.is_unanswered for each in hits)
    odd = {each.odd for each in hits if each.odd}
    failed = tuple(each for each in codes if each not in odd) or (_LIKE_A_TIMEOUT if is_silent else ())
    if not odd:
        return advice_for(failed, login)
    return f"To do: {LOOK_AT_RUNS}.{f' {advice_for(failed, login)}' if failed else ''}"


def _first_end(hits: Sequence[Hit]) -> dict[str, Any]:
    """Give the first deadline, and what the request is after it; one that is tried on has none."""
    ends = [(each.deadline, each.then) for each in hits if each.deadline is not None and each.then != "retrying"]
    return dict(zip(("deadline", "then"), min(ends, default=(None, None)), strict=True))


def _sentence(reason: str, codes: tuple[str, ...], hits: Sequence[Hit]) -> str:
    if reason == NO_ANSWER:
        return UNANSWERED
    if reason == "reconciling" and not {*codes} <= ACCOUNT_WIDE:
        return NOT_FOUND_OUT
    odd = next((each.odd for each in hits if each.odd), None)
    failed = next((each.code for each in hits if each.code), "")
    if reason == "following" and not (failed or odd):
        return UNANSWERED
    said = next((each.text for each in hits if each.code == BUDGET), "")
    return sentence(reason, failed if reason == "following" else next(iter(codes), ""), odd, said)

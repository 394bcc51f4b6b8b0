"""Finds out which definition a request is for, in the words of Marketing Cloud: before that no window is asked.

Marketing Cloud may find one definition by several spellings of its CustomerKey, and by its ObjectID.
"""

from dataclasses import dataclass, replace

from sfmc_import.faults import ABSENT, NotApplied, Rejected
from sfmc_import.policy import Policy
from sfmc_import.ports import Deps, Refusal
from sfmc_import.request import StartRequest, fold_key
from sfmc_import.retrying import REFUSAL_SECONDS
from sfmc_import.runs import Definition
from sfmc_import.states import Decision, StartNow

OTHER = "other_definition"
"""The code of a start whose CustomerKey is that of another definition by now."""
KEY_CHANGED = "key_changed"


@dataclass(frozen=True, slots=True)
class Identified:
    """A request and its definition; None when the ledger has resolved it before."""

    request: StartRequest
    definition: Definition | None

    @property
    def customer_key(self) -> str:
        """The CustomerKey as Marketing Cloud spells it."""
        return self.definition.customer_key if self.definition else self.request.customer_key


@dataclass(frozen=True, slots=True)
class NotIdentified:
    """The definition of a request cannot be read now, or there is none."""

    request: StartRequest
    fault: Refusal


def identify(request: StartRequest, owner: str, deps: Deps) -> Identified | NotIdentified | Decision:
    """Resolve a request, or say why `owner` must not now.

    It is in the ledger before Marketing Cloud is asked, so that the answer may take its time, and is held meanwhile, so
    that a request whose definition kills workers is noticed.
    """
    if (known := at_once(request, deps)) is not None:
        return known
    is_new, held = deps.ledger.hold(request, owner)
    if not is_new:
        request = deps.ledger.load(request.request_id) or request
    if request.is_resolved:
        return Identified(request, None)
    if held is not None:
        return held
    key, object_id = request.customer_key, request.object_id
    return _resolved(request, deps.definitions.get(request.mid, key, object_id=object_id, max_age=REFUSAL_SECONDS))


def at_once(request: StartRequest, deps: Deps) -> Identified | NotIdentified | None:
    """Resolve a request by what is known; None when Marketing Cloud must be asked."""
    if request.is_resolved:
        return Identified(request, None)
    if request.object_id is not None:
        # By its ObjectID a definition has always its newest key; what was read minutes ago may name an older one.
        return None
    found = deps.definitions.known(request.mid, request.customer_key)
    return None if found is None else _resolved(request, found)


def resolve_again(found: Identified, max_age: float, deps: Deps) -> Identified | NotIdentified:
    """Resolve a request by a reading of the last `max_age` seconds; what cannot be read now stays as it was read."""
    request = found.request
    now = deps.definitions.get(request.mid, request.customer_key, object_id=request.object_id, max_age=max_age)
    return found if isinstance(now, NotApplied) else _resolved(request, now)


def _resolved(request: StartRequest, found: Definition | Refusal) -> Identified | NotIdentified:
    if isinstance(found, Definition) and not _is_meant(request, found):
        found = Rejected("two_definitions", _named_twice(request, found), found.asked_at)
    return Identified(request, found) if isinstance(found, Definition) else NotIdentified(request, found)


def _is_meant(request: StartRequest, found: Definition) -> bool:
    """Tell whether a definition found by ObjectID is the one that the CustomerKey, if given too, names."""
    only_id = request.object_id is None or request.customer_key == request.object_id
    return only_id or fold_key(request.customer_key) == fold_key(found.customer_key)


def _named_twice(request: StartRequest, found: Definition) -> str:
    return f"ObjectID {request.object_id} is {found.customer_key}, and not {request.customer_key}; give one of them"


def now_of(
    found: Definition | Refusal, decision: StartNow, asked: float, policy: Policy, deps: Deps
) -> Definition | Refusal:
    """Give the definition of a request as it is now; `found` is what its CustomerKey says, which changes hands.

    A definition that was read for the request is found by its ObjectID then. Without it, and where it was read before
    the request came, the request is for the other one: a refusal says that its window must be asked first.
    """
    if not is_other(found, decision):
        return found
    if not decision.read_before:
        again = by_object(decision, asked, deps)
        is_compared = decision.file_name is not None and policy.when_mismatch != "start"
        if not isinstance(again, Rejected):
            return again
        if isinstance(found, Definition) and is_compared:
            return found
    return other_definition(decision) if isinstance(found, Definition) else found


def is_other(found: Definition | Refusal, decision: StartNow) -> bool:
    """Tell whether this is not the definition whose window was asked, or there is none of its CustomerKey any more."""
    if decision.object_id is None or isinstance(found, NotApplied):
        return False
    if isinstance(found, Rejected):
        return found.code == ABSENT
    return found.object_id is not None and found.object_id != decision.object_id


def by_object(decision: StartNow, asked: float, deps: Deps) -> Definition | Refusal:
    """Read the definition of a request by its ObjectID, later than `asked`."""
    lease, max_age = decision.lease, max(0.0, deps.clock.boottime() - asked)
    return deps.definitions.get(lease.mid, lease.customer_key, object_id=decision.object_id, max_age=max_age)


def taken_by_another(mid: str, customer_key: str, object_id: str | None, deps: Deps) -> NotApplied | None:
    """Say that a CustomerKey is that of another definition now, so that a run shown under it may be one of that.

    Also where it cannot be read.
    """
    if object_id is None:
        return None
    found = deps.definitions.get(mid, customer_key, max_age=deps.timing.check_age)
    if isinstance(found, NotApplied):
        return found
    is_other_one = isinstance(found, Definition) and found.object_id not in {None, object_id}
    return NotApplied(KEY_CHANGED, _TAKEN.format(customer_key)) if is_other_one else None


_TAKEN = "a new run is shown under {}, which is the CustomerKey of another definition by now"


def as_it_is_now(definition: Definition, decision: StartNow) -> StartNow:
    """Give the decision with the CustomerKey that its definition has now, and with what is to be started."""
    lease, object_id = decision.lease, definition.object_id or decision.object_id
    other_keys = (*decision.other_keys, lease.customer_key)
    if lease.customer_key != definition.customer_key:
        home = lease.home or lease.customer_key
        lease = replace(lease, customer_key=definition.customer_key, home=home)
    return replace(decision, lease=lease, object_id=object_id, other_keys=other_keys)


def other_definition(decision: StartNow) -> Refusal:
    """Refuse a start whose CustomerKey is that of another definition than the one whose window was asked."""
    text = f"{decision.lease.customer_key} is the CustomerKey of another definition than the one that was read before"
    # The run of an earlier attempt is looked for first, and it was one of the definition that was read.
    return Rejected(OTHER, text) if decision.earlier else NotApplied(OTHER, text)


def key_changed(decision: StartNow) -> NotApplied:
    """Refuse a start whose CustomerKey changed hands within this attempt; the next one finds its definition."""
    return NotApplied(KEY_CHANGED, f"{decision.lease.customer_key} is the CustomerKey of another definition since")

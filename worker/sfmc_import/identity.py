"""Finds out which definition a request is for, in the words of Marketing Cloud: before that no window is asked.

Marketing Cloud may find one definition by several spellings of its CustomerKey, and by its ObjectID.
"""

from dataclasses import dataclass

from sfmc_import.faults import ABSENT, Rejected
from sfmc_import.ports import Deps, Refusal
from sfmc_import.request import StartRequest, fold_key
from sfmc_import.retrying import REFUSAL_SECONDS
from sfmc_import.runs import Definition
from sfmc_import.states import Decision, StartNow


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
    if request.is_resolved:
        return Identified(request, None)
    found: Definition | Refusal | None = None
    if request.object_id is None:
        # By its ObjectID a definition has always its newest key; what was read minutes ago may name an older one.
        found = deps.definitions.known(request.mid, request.customer_key)
    if found is None:
        request = _recorded(request, deps)
        if request.is_resolved:
            return Identified(request, None)
        if (held := deps.ledger.resolving(request, owner)) is not None:
            return held
        key, object_id = request.customer_key, request.object_id
        found = deps.definitions.get(request.mid, key, object_id=object_id, max_age=REFUSAL_SECONDS)
    if isinstance(found, Definition) and not _is_meant(request, found):
        found = Rejected("two_definitions", _named_twice(request, found), found.asked_at)
    return Identified(request, found) if isinstance(found, Definition) else NotIdentified(request, found)


def _recorded(request: StartRequest, deps: Deps) -> StartRequest:
    is_new = deps.ledger.accept(request)
    return request if is_new else deps.ledger.load(request.request_id) or request


def _is_meant(request: StartRequest, found: Definition) -> bool:
    """Tell whether a definition found by ObjectID is the one that the CustomerKey, if given too, names."""
    only_id = request.object_id is None or request.customer_key == request.object_id
    return only_id or fold_key(request.customer_key) == fold_key(found.customer_key)


def _named_twice(request: StartRequest, found: Definition) -> str:
    return f"ObjectID {request.object_id} is {found.customer_key}, and not {request.customer_key}; give one of them"


def renamed(found: Definition | Refusal, decision: StartNow, deps: Deps) -> Definition | None:
    """Find the definition of a request by its ObjectID, when its CustomerKey was changed while the request waited."""
    object_id = decision.first and decision.first.object_id
    if not object_id or not isinstance(found, Rejected) or found.code != ABSENT:
        return None
    lease, age = decision.lease, deps.timing.check_age
    again = deps.definitions.get(lease.mid, lease.customer_key, object_id=object_id, max_age=age)
    return again if isinstance(again, Definition) else None

"""Whether a definition or a business unit is known here, and which one a mistyped name probably meant."""

from sfmc_import.access import ReadAccess
from sfmc_import.operations.suggesting import suggestion
from sfmc_import.request import fold_key

NO_DEFINITION = "no definition with this key is known here"


def keys_of(access: ReadAccess, mid: str) -> set[str]:
    """Give the CustomerKeys of a business unit that the policy file or one of the newest events names."""
    return _configured(access, mid) | access.reader.keys_in_events(mid)


def hint_of_scope(access: ReadAccess, scope: str) -> str | None:
    """Say that what a scope names is not known here; None where it is."""
    kind, _, rest = scope.partition(":")
    mid, _, key = rest.partition(":")
    return None if kind == "all" else hint(access, mid, key if kind == "key" else None)


def hint(access: ReadAccess, mid: str, customer_key: str | None = None) -> str | None:
    """Say that a definition, or without a key a business unit, is not known here; None where it is."""
    if customer_key is None:
        return None if is_unit(access, mid) else _no_unit(mid)
    if _is_definition(access, mid, customer_key):
        return None
    if not is_unit(access, mid):
        return _no_unit(mid)
    near = suggestion(customer_key, keys_of(access, mid))
    return f"{NO_DEFINITION}; {near}" if near else NO_DEFINITION


def is_unit(access: ReadAccess, mid: str) -> bool:
    """Tell whether a business unit is known; so is one of which Redis does not say it."""
    settings = access.settings
    named = {settings.account_id, *(unit for unit, _ in settings.policies.definitions)}
    named |= {route.mid for route in settings.routes}
    return mid in named or access.reader.has_definitions(mid)


def _no_unit(mid: str) -> str:
    return f"no business unit {mid} is known here"


def _is_definition(access: ReadAccess, mid: str, key: str) -> bool:
    folded = fold_key(key)
    if folded in map(fold_key, _configured(access, mid)):
        return True
    if access.reader.definition(mid, access.reader.spelled(mid, key))["known"]:
        return True
    # An operator may name it by its ObjectID.
    [home] = access.reader.homes_of_names([(mid, key)])
    return home != key or folded in map(fold_key, access.reader.keys_in_events(mid))


def _configured(access: ReadAccess, mid: str) -> set[str]:
    own, settings = access.settings.account_id, access.settings
    named = [*settings.policies.definitions, *((each.mid, each.customer_key) for each in settings.routes)]
    return {key for unit, key in named if (unit or own) == mid}

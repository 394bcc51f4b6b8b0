"""Finds the definition that a file is for: by explicit routes first, then by FileSpecs."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from sfmc_import.errors import USAGE, SfmcImportError
from sfmc_import.expressions import BadExpressionError, Expression
from sfmc_import.file_format import Preflight
from sfmc_import.file_spec import DATE_PART, composed, resolve
from sfmc_import.globs import Found, Glob, Pattern
from sfmc_import.runs import Definition


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliver:
    """Where the file of an arrival is put before its request is submitted, and under which name.

    `target` names a [[target]] of the policy file, `unpack` what is taken off on the way, the outermost first. With
    `verify_with`, files of public keys, what PGP has encrypted needs a valid signature of one of them.
    """

    target: str
    name: str
    unpack: tuple[str, ...] = ()
    verify_with: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """The arrival starts this definition; `by` says which rule decided, `preflight` what is checked before.

    `priority` is that of its message, 0 to 9; the lowest number is taken first, and none counts as 0. With `deliver`
    the file is delivered first.
    """

    customer_key: str
    mid: str
    by: Literal["route", "file_spec"]
    preflight: Preflight | None = None
    priority: int | None = None
    deliver: Deliver | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unrouted:
    """The arrival starts nothing; `customer_keys` are definitions that it nearly names."""

    reason: Literal["no_match", "date_differs", "case_differs", "blanks_differ"]
    text: str
    customer_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AmbiguousRoute:
    """Several definitions read a file of this name, so none is started."""

    customer_keys: tuple[str, ...]
    text: str


Routing = Routed | Unrouted | AmbiguousRoute


def said_of(routing: Unrouted | AmbiguousRoute) -> str:
    """Give the name of the event that says it."""
    return "ambiguous_route" if isinstance(routing, AmbiguousRoute) else "unrouted"


class BadRouteError(SfmcImportError, ValueError):
    """A route that can never work; the message says which and why."""

    exit_code = USAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Files whose name matches `pattern` start the definition; without `mid` that of SFMC_ACCOUNT_ID.

    With `folder` their location must match that too; `priority` is that of the message (see Routed). `deliver`
    names a [[target]], `deliver_as` the file there: it may hold {1} or {name}. `unpack` is gz, zip or pgp, or several.
    `verify_with` are files of public keys: a file without a valid signature of one of them is rejected.
    """

    pattern: str
    customer_key: str
    mid: str | None = None
    name: str | None = None
    priority: int | None = None
    folder: str | None = None
    preflight: Preflight | None = None
    deliver: str | None = None
    deliver_as: str | None = None
    unpack: tuple[str, ...] = ()
    verify_with: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tried:
    """What one route says to a file: its target, or in words why it does not match."""

    route: Route
    target: Routed | None
    why: str = ""


class Routes:
    """Explicit routes in order, as they stand on a day: the first that matches wins; `mid` is for those without one.

    A pattern is a glob (`*` and `?` stay within one folder, `**` crosses folders, `[a-z]`), or after `re:` a regular
    expression, without look-around and back references: no name takes long. It must match all of the file name, or
    all of `location/name` when it has a slash. A folder is a glob for all of the location. Upper and lower case
    differ. %%YEAR%%, %%MONTH%% and %%DAY%% mean `today`, as in a FileSpec: a file of another day would start an import
    that reads another file. `{1}` or `{name}` in a customer_key stands for what that wildcard of a glob, or that group
    of a regular expression, matched. The forms in which Unicode writes one character count as the same.

    Raises BadRouteError for a route that can never work.
    """

    def __init__(self, routes: Iterable[Route], mid: str, today: date) -> None:
        self._routes = [_read_route(route, mid, today) for route in routes]

    def find(self, location: str, name: str) -> Routed | None:
        """Give the target of the first route that matches; None when no route does."""
        return next((found for route in self._routes if (found := route.target(location, name))), None)

    def explain(self, location: str, name: str) -> list[Tried]:
        """Say what each route up to the first that matches says to this file."""
        tried = []
        for each in self._routes:
            target = each.target(location, name)
            tried.append(Tried(each.route, target, "" if target else each.why_not(location)))
            if target:
                break
        return tried


@dataclass(frozen=True, slots=True, kw_only=True)
class _Route:
    route: Route
    mid: str
    pattern: Pattern
    folder: Glob | None
    whole_path: bool

    def target(self, location: str, name: str) -> Routed | None:
        if not self._is_in_folder(location):
            return None
        match = self.pattern.fullmatch(composed(f"{location}/{name}" if self.whole_path else name))
        if match is None:
            return None
        found = Routed(customer_key=_filled(self.route.customer_key, match), mid=self.mid, by="route")
        found = replace(found, preflight=self.route.preflight, priority=self.route.priority)
        return replace(found, deliver=self._deliver(name, match))

    def _deliver(self, name: str, match: Found) -> Deliver | None:
        route = self.route
        if route.deliver is None:
            return None
        own = _filled(route.deliver_as, match) if route.deliver_as else unpacked_name(name, route.unpack)
        return Deliver(target=route.deliver, name=own, unpack=route.unpack, verify_with=route.verify_with)

    def why_not(self, location: str) -> str:
        if not self._is_in_folder(location):
            return f"its folder {self.route.folder} is not {location or 'that of the file'}"
        what = "location and name" if self.whole_path else "name"
        return f"its pattern {self.route.pattern} does not match all of the {what}"

    def _is_in_folder(self, location: str) -> bool:
        return self.folder is None or self.folder.fullmatch(composed(location)) is not None


class FileSpecs:
    """The file names that the definitions of one business unit read on a day.

    A day is a date in the account's time zone: Marketing Cloud resolves %%YEAR%%, %%MONTH%% and %%DAY%%
    (in any case) on the day of the import and, when no such file exists, takes the nearest-dated one
    (Salesforce help article 000389700). So a file of another day is not routed: the import that it starts
    might read another file. Names are compared exactly, except that a letter with an accent is the same as one
    character and as two: macOS and SMB write two, a browser one. Whether Marketing Cloud ignores case or blanks is
    not documented, so a name that differs in these alone is reported rather than started.
    """

    def __init__(self, definitions: Sequence[Definition], mid: str) -> None:
        self._mid = mid
        self._specs = {each.customer_key: each.file_spec for each in definitions if each.file_spec}
        self._days: dict[date, _Names] = {}
        self._dated: list[tuple[str, re.Pattern[str]]] | None = None

    def find(self, name: str, day: date) -> Routed | AmbiguousRoute | None:
        """Give the one definition that reads a file of this name on a day; None where none does."""
        keys = tuple(self._names(day).exact.get(composed(name), ()))
        if len(keys) == 1:
            return Routed(customer_key=keys[0], mid=self._mid, by="file_spec")
        if keys:
            return AmbiguousRoute(customer_keys=keys, text="several definitions read a file of this name")
        return None

    def why_none(self, name: str, days: Sequence[date]) -> Unrouted:
        """Say why none reads a file of this name, on any of the days that it may be now."""
        name, today = composed(name), self._names(days[0])
        if keys := tuple(today.folded.get(name.casefold(), ())):
            text = "a FileSpec has this name in other upper and lower case"
            return Unrouted(reason="case_differs", text=text, customer_keys=keys)
        if keys := tuple(key for key, shape in self._shapes() if shape.fullmatch(name)):
            expected = " or ".join(dict.fromkeys(resolve(self._specs[keys[0]], day) for day in days))
            text = f"named for another day: Marketing Cloud reads {expected} now"
            return Unrouted(reason="date_differs", text=text, customer_keys=keys)
        if keys := tuple(today.blank_free.get(_without_blanks(name), ())):
            other = composed(resolve(self._specs[keys[0]], days[0]))
            text = f"a FileSpec has this name without, or with other {_blanks_between(name, other)}"
            return Unrouted(reason="blanks_differ", text=text, customer_keys=keys)
        return Unrouted(reason="no_match", text="no route and no FileSpec names this file")

    def _names(self, day: date) -> "_Names":
        found = self._days.get(day)
        if found is None:
            found = self._days[day] = _names_on(day, self._specs)
        return found

    def _shapes(self) -> list[tuple[str, re.Pattern[str]]]:
        if self._dated is None:
            dated = ((key, spec) for key, spec in self._specs.items() if DATE_PART.search(spec))
            self._dated = [(key, _shape(composed(spec))) for key, spec in dated]
        return self._dated


@dataclass(frozen=True, slots=True)
class _Names:
    """The definitions by the names that they read on one day: as they are, in small letters, and without blanks."""

    exact: Mapping[str, Sequence[str]]
    folded: Mapping[str, Sequence[str]]
    blank_free: Mapping[str, Sequence[str]]


def _names_on(day: date, specs: Mapping[str, str]) -> _Names:
    exact, folded, blank_free = (defaultdict[str, list[str]](list) for _ in range(3))
    for key, spec in specs.items():
        name = composed(resolve(spec, day))
        exact[name].append(key)
        folded[name.casefold()].append(key)
        blank_free[_without_blanks(name)].append(key)
    return _Names(exact, folded, blank_free)


def _is_blank(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) in {"Cc", "Cf"}


def _without_blanks(name: str) -> str:
    return "".join(each for each in name if not _is_blank(each)).casefold()


def _blanks_between(name: str, other: str) -> str:
    """Name the blanks and invisible characters that one of two names has and the other has not, or elsewhere."""
    ours, theirs = (Counter(filter(_is_blank, each)) for each in (name, other))
    differing = (ours - theirs) + (theirs - ours) or ours
    codes = ", ".join(f"U+{ord(each):04X}" for each in sorted(differing))
    return f"blanks or invisible characters: {codes}"


def _read_route(route: Route, mid: str, today: date) -> _Route:
    dated = composed(resolve(route.pattern, today))
    try:
        pattern = Expression(dated[3:]) if dated.startswith("re:") else Glob(dated)
        for group in _GROUP.findall(f"{route.customer_key} {route.deliver_as or ''}"):
            _require_group(pattern, group)
        folder = None if route.folder is None else Glob(composed(resolve(route.folder, today)))
    except (re.error, BadExpressionError, BadRouteError) as error:
        raise BadRouteError(f"route {route.pattern!r} for {route.customer_key!r}: {error}") from None
    return _Route(route=route, mid=route.mid or mid, pattern=pattern, folder=folder, whole_path="/" in dated)


ENDINGS = {"gz": (".gz",), "zip": (".zip",), "pgp": (".pgp", ".gpg", ".asc")}
"""What the names of packed files end with; capitals do not matter."""


def unpacked_name(name: str, forms: Sequence[str]) -> str:
    """Give the name of a file after unpacking: without the ending of each form, where it has it."""
    for form in forms:
        ending = next((each for each in ENDINGS[form] if name.casefold().endswith(each)), "")
        name = name[: len(name) - len(ending)] or name
    return name


_GROUP = re.compile(r"\{(\w+)\}")


def _shape(spec: str) -> re.Pattern[str]:
    literals = DATE_PART.split(spec)
    words = [re.escape(word) if at % 2 == 0 else _digits(word) for at, word in enumerate(literals)]
    return re.compile("".join(words))


def _digits(part: str) -> str:
    return r"\d{4}" if part.upper() == "YEAR" else r"\d{2}"


def _filled(text: str, match: Found) -> str:
    return _GROUP.sub(lambda group: match[_group(group[1])] or "", text)


def _group(name: str) -> int | str:
    return int(name) if name.isdigit() else name


def _require_group(pattern: Expression | Glob, name: str) -> None:
    named = {} if isinstance(pattern, Glob) else pattern.groupindex
    known = int(name) <= pattern.groups if name.isdigit() else name in named
    if not known:
        raise BadRouteError(f"{{{name}}} names no group of the pattern")

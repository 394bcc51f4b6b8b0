"""Hides secrets in text: those that this process has learned, and what has the form of a login."""

import re
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from sys import getsizeof
from typing import Any

from sfmc_import.secret_forms import SHORTEST, base64_forms, escaped_forms

HIDDEN = "[redacted]"

HEAD = 12
"""A secret is found by this many characters: also where somebody else has cut off its end."""

MAX_PASSING_BYTES = 1_048_576
"""Memory for all forms of secrets that come and go, such as access tokens; beyond it the oldest are forgotten."""

FEW_STARTS = 128
"""So many first letters of secrets are looked for by a pattern."""

MAX_LOOKED_AT = 100_000
"""Characters of an answer of a service that are looked through, of which the first few hundred are shown."""

_SECRET_NAME = re.compile(r"passw|secret|token|authorization|fueloauth|credential|api_?key|cookie", re.IGNORECASE)
_NAMED = r"passw|secret|token|credential|signature|api_?key|\bsig="
# Each takes a time that grows with the length of the text, not with its square: the text may come from anywhere.
_PATTERNS = (
    # The login of an address, up to the last @: a password may have / ? # and @, though it should not.
    re.compile(
        r"(?<=://)[^\s/?#@:\"'<>]{0,500}:(?!\d{1,5}(?:[/?#]|$))[^\s\"'<>]{0,500}(?=@)|(?<=://)[^\s/?#\"'<>]{1,500}(?=@)"
    ),
    re.compile(rf"(?i)(?<![\w.-])((?=[\w.-]*?(?:{_NAMED}))[\w.-]++=)[^&\s\"'<>,)]+"),
    re.compile(r"(?i)(?<=\bBearer )[\w.~+/=-]+"),
    re.compile(r"(?i)(uthorization[\"']?[:=]\s*[\"']?Basic\s+)[\w+/=]+"),
    re.compile(r"(?<=<fueloauth>)[^<]+|(?<=PasswordText\">)[^<]+"),  # what SOAP envelopes carry
)


@dataclass(slots=True)
class Passing:
    """A secret that comes and goes: its forms, and how many times it was learned and not forgotten."""

    forms: frozenset[str]
    count: int = 1

    @property
    def size(self) -> int:
        """Bytes of all forms."""
        return sum(map(getsizeof, self.forms))


class Secrets:
    """Texts that must not be seen; threads may add to them at any time.

    To learn or to forget one takes a time that does not depend on how many are known.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, int] = {}
        self._by_start: dict[str, tuple[str, ...]] = {}
        self._search: re.Pattern[str] | None = None
        self._kept: set[str] = set()
        self._passing: dict[str, Passing] = {}
        self._passing_size = 0
        self.learn(*secrets)

    def learn(self, *secrets: str) -> None:
        """Know these from now on, also escaped, twice over, and in base64."""
        with self._lock:
            for secret in secrets:
                if secret not in self._kept:
                    self._kept.add(secret)
                    self._add(escaped_forms(secret, depth=2) | base64_forms(secret))

    def learn_passing(self, secret: str) -> None:
        """Know this until it is forgotten as many times, or until newer ones need its room."""
        with self._lock:
            known = self._passing.get(secret)
            if known is not None:
                known.count += 1
                return
            self._passing[secret] = added = Passing(frozenset(escaped_forms(secret)))
            self._passing_size += added.size
            self._add(added.forms)
            while self._passing_size > MAX_PASSING_BYTES and len(self._passing) > 1:
                self._drop(next(iter(self._passing)))

    def forget_passing(self, secret: str) -> None:
        """Take back that it was learned."""
        with self._lock:
            known = self._passing.get(secret)
            if known is not None:
                known.count -= 1
                if not known.count:
                    self._drop(secret)

    def forget(self) -> None:
        """Know nothing."""
        with self._lock:
            self._known, self._by_start, self._search, self._kept = {}, {}, None, set()
            self._passing, self._passing_size = {}, 0

    def hide(self, text: str) -> str:
        """Replace what is known. Do it before anything is cut: half a secret is not found any more."""
        parts, shown = [], 0
        for begin, end in self._found(text):
            parts += [text[shown:begin], HIDDEN]
            shown = end
        return "".join([*parts, text[shown:]]) if parts else text

    def _found(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where secrets stand; those that overlap are one."""
        begin = end = 0
        for place in self._starts(text):
            forms = self._by_start.get(text[place : place + SHORTEST], ())
            size = max((_common(text, place, form) for form in forms), default=0)
            if size and place >= end:
                if end:
                    yield begin, end
                begin = place
            if size:
                end = max(end, place + size)
        if end:
            yield begin, end

    def _starts(self, text: str) -> Iterator[int]:
        """Yield the places at which a secret may begin."""
        search = self._search or (self._new_search() if self._by_start else None)
        if search is None:
            by_start = self._by_start
            yield from (at for at in range(len(text) - SHORTEST + 1) if text[at : at + SHORTEST] in by_start)
            return
        found = search.search(text)
        while found:
            yield found.start()
            found = search.search(text, found.start() + 1)

    def _new_search(self) -> re.Pattern[str] | None:
        """Make what finds one of a few starts quickly; access tokens mostly have one and the same.

        With many it would be made too often, and `re` keeps what it has made.
        """
        with self._lock:
            if 0 < len(self._by_start) <= FEW_STARTS:
                self._search = re.compile("|".join(map(re.escape, sorted(self._by_start))))
            return self._search

    def _add(self, forms: Iterable[str]) -> None:
        for form in forms:
            self._known[form] = self._known.get(form, 0) + 1
            if self._known[form] == 1:
                start = form[:SHORTEST]
                if start not in self._by_start:
                    self._search = None
                self._by_start[start] = (*self._by_start.get(start, ()), form)

    def _drop(self, secret: str) -> None:
        dropped = self._passing.pop(secret)
        self._passing_size -= dropped.size
        for form in dropped.forms:
            self._known[form] -= 1
            if not self._known[form]:
                del self._known[form]
                self._remove(form)

    def _remove(self, form: str) -> None:
        start = form[:SHORTEST]
        left = tuple(other for other in self._by_start[start] if other != form)
        # Replaced or deleted in one step: other threads read without the lock.
        if left:
            self._by_start[start] = left
        else:
            del self._by_start[start]
            self._search = None


KNOWN = Secrets()
"""What this process has learned: the settings' secrets, and the tokens that it was given."""


def hidden(text: str) -> str:
    """Replace what `KNOWN` has, logins in addresses, and tokens."""
    return hide_forms(KNOWN.hide(text))


def hidden_in(value: Any) -> Any:
    """Replace the same in all texts of a value as JSON has it; the names in it stay."""
    if isinstance(value, str):
        return hidden(value)
    if isinstance(value, dict):
        return {name: hidden_in(each) for name, each in value.items()}
    return [hidden_in(each) for each in value] if isinstance(value, list) else value


def hide_forms(text: str) -> str:
    """Replace what has the form of a login or of a token."""
    if "://" in text or "earer" in text or "asic" in text or "<" in text or "=" in text:
        for pattern in _PATTERNS:
            text = pattern.sub(_hide_match, text)
    return text


def _hide_match(found: re.Match[str]) -> str:
    return (found[1] if found.re.groups else "") + HIDDEN


def _common(text: str, begin: int, form: str) -> int:
    """Give how many characters from `begin` on are those of the form; 0 if they are fewer than HEAD and not all."""
    if text.startswith(form, begin):
        return len(form)
    if not text.startswith(form[:HEAD], begin):
        return 0
    same, other = HEAD, len(form)
    while other - same > 1:
        middle = (same + other) // 2
        same, other = (middle, other) if text.startswith(form[:middle], begin) else (same, middle)
    return same


class Redactor:
    """Replaces secrets in log records; a structlog processor; threads may add secrets later."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._own = Secrets(secrets)

    def hide(self, *secrets: str) -> None:
        """Learn texts that must not be seen from now on."""
        self._own.learn(*secrets)

    def __call__(self, _logger: Any, _method: str, event: Any) -> Any:
        """Clean one record."""
        for name, value in event.items():
            if isinstance(value, str) and not _SECRET_NAME.search(name):
                event[name] = self.clean_text(value)
            elif not isinstance(value, (bool, int, float, type(None))):
                event[name] = self.clean(name, value)
        return event

    def clean(self, name: str, value: Any) -> Any:
        """Clean a value of any shape that stands under `name`."""
        if isinstance(value, (bool, int, float, type(None))):
            return value
        if _SECRET_NAME.search(name):
            return HIDDEN
        if isinstance(value, dict):
            return {key: self.clean(str(key), inner) for key, inner in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.clean(name, inner) for inner in value]
        return self.clean_text(value if isinstance(value, str) else str(value))

    def clean_text(self, text: str) -> str:
        """Replace known secrets, logins in addresses and tokens."""
        return hidden(self._own.hide(text))

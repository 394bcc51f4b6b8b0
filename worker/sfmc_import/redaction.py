"""Hides secrets in text: those that this process has learned, and what has the form of a login."""

import re
import threading
from collections import deque
from collections.abc import Callable, Iterable
from html import escape
from itertools import groupby
from operator import itemgetter
from typing import Any
from urllib.parse import quote

HIDDEN = "[redacted]"
SHORTEST = 4
"""Characters of the shortest secret that is looked for; shorter ones would blank out half of every line."""

HEAD = 12
"""A secret is found by this many characters: also where somebody else has cut off its end."""

MOST_PASSING = 1024
"""How many forms of secrets that come and go are known at a time, such as access tokens."""

_SECRET_NAME = re.compile(r"passw|secret|token|authorization|fueloauth|credential|api_?key|cookie", re.IGNORECASE)
_NAMED = r"[\w.-]*(?:passw|secret|token|credential|signature|api_?key)[\w.-]*|sig"
_PATTERNS = (
    # The login of an address, up to the last @: a password may have / ? # and @, though it should not.
    re.compile(r"(?<=://)[^\s/?#@:\"'<>]*:(?!\d{1,5}(?:[/?#]|$))[^\s\"'<>]*(?=@)|(?<=://)[^\s/?#\"'<>]+(?=@)"),
    re.compile(rf"(?i)\b((?:{_NAMED})=)[^&\s\"'<>,)]+"),
    re.compile(r"(?i)(?<=\bBearer )[\w.~+/=-]+"),
    re.compile(r"(?i)(uthorization[\"']?[:=]\s*[\"']?Basic\s+)[\w+/=]+"),
    re.compile(r"(?<=<fueloauth>)[^<]+|(?<=PasswordText\">)[^<]+"),  # what SOAP envelopes carry
)


class Secrets:
    """Texts that must not be seen; threads may add to them at any time."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, None] = {}
        self._passing: deque[str] = deque(maxlen=MOST_PASSING)
        self._search: re.Pattern[str] | None = None
        self._by_head: dict[str, list[str]] = {}
        self.learn(*secrets)

    def learn(self, *secrets: str, passing: bool = False) -> None:
        """Know these from now on, also percent-encoded and as XML; of the `passing` ones only the latest."""
        forms = [form for text in secrets for form in _forms(text) if len(form) >= SHORTEST]
        with self._lock:
            if passing:
                self._passing.extend(form for form in forms if form not in self._passing)
            else:
                self._kept.update(dict.fromkeys(forms))
            self._index()

    def forget(self) -> None:
        """Know nothing."""
        with self._lock:
            self._kept.clear()
            self._passing.clear()
            self._index()

    def hide(self, text: str) -> str:
        """Replace what is known. Do it before anything is cut: half a secret is not found any more."""
        search, by_head = self._search, self._by_head
        if search is None:
            return text
        parts, position = [], 0
        while found := search.search(text, position):
            begin = found.start()
            parts += [text[position:begin], HIDDEN]
            position = begin + max(_common(text, begin, secret) for secret in by_head[found[0]])
        return "".join([*parts, text[position:]]) if parts else text

    def _index(self) -> None:
        by_head: dict[str, list[str]] = {}
        for secret in (*self._kept, *self._passing):
            by_head.setdefault(secret[:HEAD], []).append(secret)
        self._by_head = by_head
        self._search = re.compile(_any_of(sorted(by_head))) if by_head else None


KNOWN = Secrets()
"""What this process has learned: the settings' secrets, and the tokens that it was given."""


def hidden(text: str) -> str:
    """Replace what `KNOWN` has, logins in addresses, and tokens."""
    return hide_forms(KNOWN.hide(text))


def hide_forms(text: str) -> str:
    """Replace what has the form of a login or of a token."""
    if "://" in text or "earer" in text or "asic" in text or "<" in text or "=" in text:
        for pattern in _PATTERNS:
            text = pattern.sub(_hide_match, text)
    return text


def _hide_match(found: re.Match[str]) -> str:
    return (found[1] if found.re.groups else "") + HIDDEN


def _forms(text: str) -> set[str]:
    # A lone surrogate has no percent-encoded form.
    return {text, quote(text, safe="", errors="replace"), escape(text), escape(text, quote=False)}


def _common(text: str, begin: int, secret: str) -> int:
    """Give how many characters from `begin` on are those of the secret; all of a secret that is no longer than HEAD."""
    if text.startswith(secret, begin):
        return len(secret)
    pairs = zip(secret, text[begin : begin + len(secret)], strict=False)
    return next((number for number, (one, other) in enumerate(pairs) if one != other), len(text) - begin)


def _any_of(words: list[str]) -> str:
    """Give a pattern of any of these sorted words, the longest first; it takes the same time however many there are."""
    first: Callable[[str], str] = itemgetter(0)
    ways = []
    for letter, group in groupby((word for word in words if word), key=first):
        rests = [word[1:] for word in group]
        ways.append(re.escape(letter) + (re.escape(rests[0]) if len(rests) == 1 else _any_of(rests)))
    return f"(?:{'|'.join(ways)})" + ("?" if "" in words else "")


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

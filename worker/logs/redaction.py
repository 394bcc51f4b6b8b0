"""What a log line must not tell: fields named like secrets, and known secrets wherever they stand; no output here."""

import re
import threading
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

HIDDEN = "[redacted]"
SHORTEST = 4
"""Characters of the shortest secret that is looked for; shorter ones would blank out half of every line."""

_SECRET_NAME = re.compile(r"passw|secret|token|authorization|fueloauth|credential|api_?key|cookie", re.IGNORECASE)
_PATTERNS = (
    re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"),  # the login of an address
    re.compile(r"(?<=Bearer )[\w.~+/=-]+", re.IGNORECASE),
    re.compile(r"(?<=<fueloauth>)[^<]+|(?<=PasswordText\">)[^<]+"),  # what SOAP envelopes carry
)


class Redactor:
    """Replaces secrets in log records; a structlog processor that other threads may teach new secrets."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known: set[str] = set()
        self._lock = threading.Lock()
        self._search: re.Pattern[str] | None = None
        self.hide(*secrets)

    def hide(self, *secrets: str) -> None:
        """Learn texts that must not be seen from now on, as they are and percent-encoded."""
        texts = {form for text in secrets for form in (text, quote(text, safe="")) if len(form) >= SHORTEST}
        with self._lock:
            self._known |= texts
            longest_first = sorted(self._known, key=len, reverse=True)
            self._search = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

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
        if self._search is not None:
            text = self._search.sub(HIDDEN, text)
        if "://" in text or "earer" in text or "<" in text:
            for pattern in _PATTERNS:
                text = pattern.sub(HIDDEN, text)
        return text

"""The forms in which a secret may stand in a text: as it is, escaped by JSON, Python, XML or an address, in base64."""

import json
import re
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Callable, Iterable, Iterator
from html import escape
from urllib.parse import quote, quote_plus

SHORTEST = 4
"""Characters of the shortest form that is looked for; shorter ones would blank out half of every line."""

SHORTEST_BASE64 = 8
"""The same for base64, in which every text of some length looks alike."""

Escape = Callable[[str], str]
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*")
"""What nothing escapes; most access tokens have only these."""


def escaped_forms(text: str, depth: int = 1) -> set[str]:
    """Give a text as it is and as each of these writes it, up to `depth` of them one after another."""
    forms = {text}
    for _ in range(0 if _PLAIN.fullmatch(text) else depth):
        forms |= {escaping(form) for form in forms for escaping in ESCAPES}
    return {form for form in forms if len(form) >= SHORTEST}


def base64_forms(text: str) -> set[str]:
    """Give what base64 of anything with this text inside has in common: of `user:secret`, or of a whole message."""
    found = {piece for shift in range(3) for piece in _inside_base64(text.encode(errors="replace"), shift)}
    return {piece for piece in found if len(piece) >= SHORTEST_BASE64}


def _inside_base64(content: bytes, shift: int) -> Iterator[str]:
    # The first and the last sign depend on the bytes beside these.
    first, after = -(-shift * 8 // 6), (shift + len(content)) * 8 // 6
    standard = b64encode(bytes(shift) + content).decode()[first:after]
    yield standard
    yield standard.replace("+", "-").replace("/", "_")


def _each(shown: Callable[[str], str]) -> Escape:
    return lambda text: "".join(map(shown, text))


def _lower(text: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), text)


def _percent(text: str, safe: str) -> str:
    # A lone surrogate has no percent-encoded form.
    return quote(text, safe=safe, errors="replace")


def _bytes(text: str) -> str:
    return "".join(repr(bytes([byte]))[2:-1] for byte in text.encode(errors="replace"))


def _json(text: str, *, ascii_only: bool) -> str:
    return json.dumps(text, ensure_ascii=ascii_only)[1:-1]


def _numbered(text: str, form: str) -> str:
    return "".join(sign if sign.isascii() and sign not in "&<>\"'" else form.format(ord(sign)) for sign in text)


def _attribute(text: str) -> str:
    # An attribute keeps its line breaks and tabs only as numbers.
    return re.sub("[\n\r\t]", lambda found: f"&#{ord(found[0])};", escape(text, quote=False))


ESCAPES: Iterable[Escape] = (
    lambda text: _percent(text, ""),
    lambda text: _percent(text, "/"),
    lambda text: quote_plus(text, errors="replace"),
    lambda text: _lower(_percent(text, "")),
    lambda text: _lower(quote_plus(text, errors="replace")),
    escape,
    lambda text: escape(text, quote=False),
    lambda text: escape(text, quote=False).replace('"', "&quot;"),
    lambda text: escape(text, quote=False).replace('"', "&quot;").replace("'", "&apos;"),
    _attribute,
    lambda text: _attribute(text).replace('"', "&quot;"),
    lambda text: escape(text, quote=False).encode("ascii", "xmlcharrefreplace").decode(),
    lambda text: _numbered(text, "&#{};"),
    lambda text: _numbered(text, "&#x{:x};"),
    lambda text: _json(text, ascii_only=True),
    lambda text: _json(text, ascii_only=False),
    lambda text: _json(text, ascii_only=True).replace("/", "\\/"),
    # A quote is escaped where its text is written in quotes of its kind.
    _each(lambda sign: repr(sign)[1:-1]),
    _each(lambda sign: "\\'" if sign == "'" else repr(sign)[1:-1]),
    _each(lambda sign: ascii(sign)[1:-1]),
    _each(lambda sign: "\\'" if sign == "'" else ascii(sign)[1:-1]),
    _bytes,
    lambda text: _bytes(text).replace("'", "\\'"),
)
"""What writes a text into another one: addresses, XML and HTML, JSON, Python's repr of text and of bytes."""


KEY_BYTES = 32
_KEY = re.compile(r"[A-Za-z0-9_-]{43}=?")
MAKE_A_KEY = "openssl rand -base64 32 | tr '+/' '-_'"


def read_key(text: str) -> bytes:
    """Read a key of 32 bytes in url-safe base64.

    Raises:
        ValueError: with what is wrong, without the text.
    """
    if not _KEY.fullmatch(text.strip()):
        raise ValueError(f"not {KEY_BYTES} bytes as url-safe base64; make a key with: {MAKE_A_KEY}")
    return urlsafe_b64decode(text.strip().rstrip("=") + "=")

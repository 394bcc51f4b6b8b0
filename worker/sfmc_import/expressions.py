"""Matches names with regular expressions that take a time in proportion to the name, whatever is in it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

LACKS = "RE2, which reads regular expressions, has no look-around and no back references"
"""What those of Python have and these have not: with it a name can take hours."""

_ESCAPES = (
    r"\\u(?P<short>[0-9A-Fa-f]{4})|\\U(?P<long>[0-9A-Fa-f]{8})|(?P<kind>\\[pP](?:[A-Z]|\{\^?\w+\}))|\\(?P<escaped>.)"
)
_TOKEN = re.compile(rf"{_ESCAPES}|(?P<begin>\[(?P<nested>\[)?\^?\]?)|\{{,(?P<most>\d*)\}}|.", re.DOTALL)
_IN_SET = re.compile(rf"{_ESCAPES}|(?P<end>\])|(?P<nested>--|&&|\|\||~~)|(?P<bracket>\[)|.", re.DOTALL)
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")

_MEMBERS = {"w": r"\pL\pN_", "d": r"\p{Nd}", "s": r"\t-\r\x1c-\x20\x{85}\pZ"}
"""What \\w, \\d and \\s mean in Python: letters, digits, blanks of all alphabets. In RE2 they are of ASCII alone."""


NESTED = (
    r"no [[, and no --, &&, || or ~~ within [], can be used: Python may read them otherwise one day; write \[ or \-"
)


class BadExpressionError(ValueError):
    """A regular expression that cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class _Found:
    text: str
    spans: Any
    names: Mapping[str, int]

    def __getitem__(self, group: int | str, /) -> str | None:
        begin, end = self.spans.span(self.names[group] if isinstance(group, str) else group)
        return None if begin < 0 else self.text[begin:end]


class Expression:
    r"""A regular expression that means what Python's `re` means by it; raises BadExpressionError for one that cannot.

    RE2 compares, in one pass over the name: its time does not depend on how many ways there are to read it. What Python
    refuses is refused, but for kinds of letters such as \pL.
    """

    def __init__(self, pattern: str) -> None:
        re2 = _library()
        options = re2.Options()
        options.log_errors = False
        ours, pythons = _translated(pattern)
        _require_python(pythons)
        try:
            self._pattern = re2.compile(ours, options)
        except (re2.error, UnicodeEncodeError) as error:
            raise BadExpressionError(f"{_words(error)}; {LACKS}") from None

    @property
    def groups(self) -> int:
        """How many groups it has."""
        return int(self._pattern.groups)

    @cached_property
    def groupindex(self) -> Mapping[str, int]:
        """The numbers of its groups that have a name."""
        return dict(self._pattern.groupindex)

    def fullmatch(self, text: str, /) -> _Found | None:
        """Compare all of a text; gives what its groups matched."""
        # What is no character cannot be sent to RE2: to both it is one place that no letter fits.
        spans = self._pattern.fullmatch(_LONE_SURROGATE.sub("\ufffd", text))
        return None if spans is None else _Found(text, spans, self.groupindex)


def _words(error: Exception) -> str:
    said = error.args[0]
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(error)


def _library() -> Any:
    try:
        import re2  # noqa: PLC0415 - 2 MB that only who uses regular expressions needs
    except ModuleNotFoundError:
        wrong = "regular expressions need google-re2, which is not installed"
        advice = "install it with: pip install 'sfmc-import[patterns]', or give a glob"
        raise BadExpressionError(f"{wrong}; {advice}") from None
    return re2


def _require_python(pattern: str) -> None:
    try:
        re.compile(pattern)
    except (re.error, ValueError, OverflowError, RecursionError) as error:
        raise BadExpressionError(f"Python refuses it: {error}") from None


def _translated(pattern: str) -> tuple[str, str]:
    """Write an expression as RE2 reads it, and as Python does; raises BadExpressionError for what has no equal.

    The second differs only where Python has no kinds of letters: any of them refuses the same things beside it.
    """
    at, written, pythons, is_in_set = 0, list[str](), list[str](), False
    while at < len(pattern):
        token = (_IN_SET if is_in_set else _TOKEN).match(pattern, at)
        assert token is not None
        written.append(_rewritten(token, is_in_set=is_in_set))
        pythons.append(r"\w" if token["kind"] else token[0])
        is_in_set = not token["end"] if is_in_set else bool(token["begin"])
        at = token.end()
    return "".join(written), "".join(pythons)


def _rewritten(token: re.Match[str], *, is_in_set: bool) -> str:
    if token["nested"]:
        raise BadExpressionError(NESTED)
    if code := token["short"] or token["long"]:
        return f"\\x{{{code}}}"
    if (escaped := token["escaped"]) is not None:
        return _in_set(escaped) if is_in_set else _alone(escaped)
    if not is_in_set and token["most"] is not None:
        return f"{{0,{token['most']}}}"
    # With a colon behind it RE2 would read a kind of letters.
    return r"\[" if is_in_set and token["bracket"] else token[0]


def _alone(escaped: str) -> str:
    if escaped.lower() in _MEMBERS:
        return f"[{'' if escaped.islower() else '^'}{_MEMBERS[escaped.lower()]}]"
    if escaped in "bB" or escaped in "123456789":
        raise BadExpressionError(f"no \\{escaped} can be used; {LACKS}")
    return "\\z" if escaped == "Z" else f"\\{escaped}"


def _in_set(escaped: str) -> str:
    if escaped == "D":
        return r"\P{Nd}"
    if escaped in "WS":
        raise BadExpressionError(f"\\{escaped} within [] cannot be used; name the characters, \\pL is any letter")
    return r"\x08" if escaped == "b" else _MEMBERS.get(escaped, f"\\{escaped}")

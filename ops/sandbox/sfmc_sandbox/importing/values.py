"""Turns text of a file into the value of a field, or into the reason why it is bad (pure)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation

from sfmc_sandbox.importing.columns import Field, Value
from sfmc_sandbox.importing.outcome import BadRowError

Converter = Callable[[str], Value]

_SMALLEST, _LARGEST = -(2**31), 2**31 - 1
_WHOLE = re.compile(r"[+-]?[0-9]+")
_EMAIL = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
)
_PHONE = re.compile(r"\+?[0-9][0-9 ().-]{3,30}[0-9]")
_LOCALE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")
_TRUTH = {
    **dict.fromkeys(("true", "1", "yes", "y", "t"), 1),
    **dict.fromkeys(("false", "0", "no", "n", "f"), 0),
}
_EMAIL_LENGTH = 254
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Style:
    """How a file writes its values: the text that means null ("" for none) and how it writes dates."""

    null_text: str
    read_date: Callable[[str], str | None]
    now: str


def converter(field: Field, style: Style) -> Converter:
    """Return the function from a column's text to the field's value; it raises BadRowError with the reason.

    Empty text is the field's default, or null; the NullRepresentation is always null. With a
    NullRepresentation, empty text of a Text field is empty text.
    """
    read = _reader(field, style)
    empty = default_of(field, style)
    null_text, needs_value = style.null_text, field.needs_value
    keeps_empty = bool(null_text) and field.type == "Text" and empty is None and not needs_value

    def convert(text: str) -> Value:
        if text and text != null_text:
            return read(text)
        if not text and keeps_empty:
            return ""
        value = empty if not text else None
        if value is None and needs_value:
            raise BadRowError(f"{field.name}: a value is required")
        return value

    return convert


def default_of(field: Field, style: Style) -> Value:
    """Return the typed default of a field, None if it has none. Raises BadRowError for a default that is not valid."""
    text = field.default_value
    if not text:
        return None
    if field.type == "Date" and text.strip().casefold() in {"getdate()", "current date"}:
        return style.now
    return _reader(field, style)(text)


def _reader(field: Field, style: Style) -> Converter:
    if field.type == "Date":
        return _date(field, style)
    special = {
        "Number": _number,
        "Decimal": _decimal,
        "Boolean": _boolean,
        "EmailAddress": _email,
        "Phone": _phone,
        "Locale": _locale,
    }
    return special.get(field.type, _text)(field)


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


def _text(field: Field) -> Converter:
    longest = field.max_length

    def read(text: str) -> Value:
        if longest and len(text) > longest:
            raise BadRowError(f"{field.name}: {len(text)} characters, at most {longest} fit")
        return text

    return read


def _number(field: Field) -> Converter:
    def read(text: str) -> Value:
        if not _WHOLE.fullmatch(text := text.strip()):
            raise BadRowError(f"{field.name}: {_shown(text)} is not a number")
        value = int(text) if len(text) <= len(str(_SMALLEST)) else _LARGEST + 1
        if not _SMALLEST <= value <= _LARGEST:
            raise BadRowError(f"{field.name}: {_shown(text)} is outside {_SMALLEST} to {_LARGEST}")
        return value

    return read


def _decimal(field: Field) -> Converter:
    digits, scale = field.max_length or 18, field.scale or 0
    unit, limit = Decimal(1).scaleb(-scale), Decimal(1).scaleb(digits - scale)
    exact = Context(prec=digits + 1)

    def read(text: str) -> Value:
        try:
            value = Decimal(text.strip())
            if not value.is_finite() or "_" in text:
                raise BadRowError(f"{field.name}: {_shown(text)} is not a decimal number")
        except InvalidOperation:
            raise BadRowError(f"{field.name}: {_shown(text)} is not a decimal number") from None
        # copy_abs, since abs rounds to 28 digits.
        if value.copy_abs() >= limit or (value := value.quantize(unit, ROUND_HALF_UP, exact)).copy_abs() >= limit:
            raise BadRowError(f"{field.name}: {_shown(text)} has more digits than Decimal({digits},{scale}) holds")
        return f"{value:f}"

    return read


def _boolean(field: Field) -> Converter:
    def read(text: str) -> Value:
        value = _TRUTH.get(text.strip().casefold())
        if value is None:
            raise BadRowError(f"{field.name}: {_shown(text)} is not true or false")
        return value

    return read


def _email(field: Field) -> Converter:
    longest = field.max_length or _EMAIL_LENGTH

    def read(text: str) -> Value:
        if not _EMAIL.fullmatch(text := text.strip()):
            raise BadRowError(f"{field.name}: {_shown(text)} is not an email address")
        if len(text) > longest:
            raise BadRowError(f"{field.name}: {len(text)} characters, at most {longest} fit")
        return text

    return read


def _phone(field: Field) -> Converter:
    def read(text: str) -> Value:
        if not _PHONE.fullmatch(text := text.strip()):
            raise BadRowError(f"{field.name}: {_shown(text)} is not a phone number")
        return text

    return read


def _locale(field: Field) -> Converter:
    def read(text: str) -> Value:
        if not _LOCALE.fullmatch(text := text.strip()):
            raise BadRowError(f"{field.name}: {_shown(text)} is not a locale such as en-US")
        return text

    return read


def _date(field: Field, style: Style) -> Converter:
    def read(text: str) -> Value:
        value = style.read_date(text)
        if value is None:
            raise BadRowError(f"{field.name}: {_shown(text)} is not a date")
        return value

    return read

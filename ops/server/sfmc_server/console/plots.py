"""Small plots as SVG in the page: no script, no style of their own, a text for those who do not see them."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from markupsafe import Markup, escape

from sfmc_import.operations.activity import HOURS, Hour

Point = float | None


def bars(hours: Sequence[Hour], name: str) -> Markup:
    """Draw 24 bars: what completed, and on it what failed. An hour without an end has a thin line.

    A page has hundreds of them, so that each kind is one path.
    """
    most = max((hour.completed + hour.failed for hour in hours), default=0) or 1
    paths: dict[str, list[str]] = {"good": [], "bad": [], "none": []}
    for place, hour in enumerate(hours):
        good, bad = (_height(number, most, 22) for number in (hour.completed, hour.failed))
        paths["good"] += [_bar(place, 24, good)] if good else []
        paths["bad"] += [_bar(place, 24 - good, bad)] if bad else []
        paths["none"] += [] if good or bad else [_bar(place, 24, 1)]
    completed, failed = (sum(getattr(hour, word) for hour in hours) for word in ("completed", "failed"))
    label = f"{name}, last 24 hours: {completed} completed, {failed} failed"
    parts = (f'<path class="{tone}" d="{"".join(drawn)}"/>' for tone, drawn in paths.items() if drawn)
    return _svg(parts, 6 * HOURS, 24, label, "bars")


def columns(values: Sequence[int], begin: datetime, name: str, tone: str) -> Markup:
    """Draw a number for each hour as columns, with its greatest value and the times."""
    most = max(values, default=0)
    parts = [_frame(most and f"{most}")]
    for place, value in enumerate(values):
        high = _height(value, most or 1, 70)
        title = f"{begin + timedelta(hours=place):%H}:00 UTC: {value}"
        shape = _rect(34 + place * 11, 84 - high, 9, high, tone) if value else ""
        parts.append(f"<g><title>{escape(title)}</title>{shape}</g>")
    parts.append(_clock(begin))
    return _svg(parts, 300, 104, f"{name}: {sum(values)} in 24 hours, at most {most} in an hour", "plot")


def curves(series: Sequence[tuple[str, str, Sequence[Point]]], begin: datetime, name: str, unit: str) -> Markup:
    """Draw lines over the hours; each has a name, a tone and values, None for an hour without one."""
    known = [value for _, _, values in series for value in values if value is not None]
    most = max((value for value in known if value != float("inf")), default=0.0)
    parts = [_frame(_number(most, unit) if most else "")]
    for word, tone, values in series:
        parts += [_points(word, tone, values, begin, most or 1.0, unit), _line(tone, values, most or 1.0)]
    parts.append(_clock(begin))
    newest = ", ".join(f"{word} {_newest(values, unit)}" for word, _, values in series)
    return _svg(parts, 300, 104, f"{name}: newest {newest}", "plot")


def strip(parts: Sequence[tuple[str, str, float]], name: str) -> Markup:
    """Draw the parts of a life side by side, as wide as they lasted; each has a word, a tone and seconds."""
    whole = sum(seconds for _, _, seconds in parts) or 1.0
    drawn, x = [], 0.0
    for word, tone, seconds in parts:
        wide = max(2.0, 1000 * seconds / whole)
        drawn.append(f"<g><title>{escape(word)}</title>{_rect(x, 0, wide, 14, tone)}</g>")
        x += wide
    return _svg(drawn, max(x, 1.0), 14, name, "strip", stretched=True)


def _height(value: int, most: int, full: int) -> float:
    return 0 if not value else max(2.0, full * value / most)


def _bar(place: int, bottom: float, high: float) -> str:
    return f"M{place * 6} {bottom:.4g}v-{high:.4g}h5v{high:.4g}z"


def _rect(x: float, y: float, wide: float, high: float, tone: str) -> str:
    if not high:
        return ""
    return f'<rect class="{tone}" x="{x:.6g}" y="{y:.6g}" width="{wide:.6g}" height="{high:.6g}" rx="1"/>'


def _frame(most: str | int) -> str:
    top = f'<text x="30" y="20" text-anchor="end">{escape(most)}</text>' if most else ""
    lines = '<line x1="34" x2="298" y1="84.5" y2="84.5"/><line x1="34" x2="298" y1="14.5" y2="14.5" class="faint"/>'
    return f'{lines}{top}<text x="30" y="87" text-anchor="end">0</text>'


def _clock(begin: datetime) -> str:
    places = ((0, "start"), (8, "middle"), (16, "middle"), (HOURS - 1, "end"))
    texts = (
        f'<text x="{298 if anchor == "end" else 34 + place * 11}" y="100" text-anchor="{anchor}">'
        f"{begin + timedelta(hours=place):%H}:00</text>"
        for place, anchor in places
    )
    return "".join(texts)


def _x(place: int) -> float:
    return 38.5 + place * 11


def _y(value: float, most: float) -> float:
    return 84 - 70 * min(value, most) / most


def _points(word: str, tone: str, values: Sequence[Point], begin: datetime, most: float, unit: str) -> str:
    return "".join(
        f"<g><title>{escape(f'{begin + timedelta(hours=place):%H}:00 UTC, {word}: {_number(value, unit)}')}</title>"
        f'<circle class="{tone}" cx="{_x(place):.6g}" cy="{_y(value, most):.6g}" r="2.5"/></g>'
        for place, value in enumerate(values)
        if value is not None
    )


def _line(tone: str, values: Sequence[Point], most: float) -> str:
    found = ((_x(place), _y(value, most)) for place, value in enumerate(values) if value is not None)
    points = " ".join(f"{x:.6g},{y:.6g}" for x, y in found)
    return f'<polyline class="{tone}" points="{points}"/>'


def _newest(values: Sequence[Point], unit: str) -> str:
    return next((_number(value, unit) for value in reversed(values) if value is not None), "none")


def _number(value: float, unit: str) -> str:
    return "more than 12 h" if value == float("inf") else _seconds(value) if unit == "s" else f"{value:g}{unit}"


def _seconds(value: float) -> str:
    for size, word in ((3600, "h"), (60, "min")):
        if value >= size:
            return f"{value / size:g} {word}"
    return f"{value:g} s"


def _svg(parts: Iterable[str], wide: float, high: float, label: str, kind: str, *, stretched: bool = False) -> Markup:
    ratio = ' preserveAspectRatio="none"' if stretched else ""
    head = f'<svg class="{kind}" role="img" viewBox="0 0 {wide:.6g} {high:.6g}"{ratio} aria-label="{escape(label)}">'
    # Every text in it was escaped where it was put in.
    return Markup(f"{head}{''.join(parts)}</svg>")  # noqa: S704

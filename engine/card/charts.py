"""Charts of a card, as SVG drawn by hand: they need no library, take the page's colours, and their texts stay texts."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from html import escape

import numpy as np

from engine.evaluate.details import Bin

NAME = 22
"""Characters of the longest name drawn; the whole of it shows when pointed at."""
LETTER = 6.4
"""Width of a character in the drawings' units, at their font size of 11."""


def line(points: Sequence[tuple[float, float]]) -> str:
    """A curve over epochs."""
    width, height, left, bottom = 420, 220, 46, 30
    ticks = _ticks(min(y for _, y in points), max(y for _, y in points))
    (first, _), (last, _) = points[0], points[-1]

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - first) / max(last - first, 1e-9)
        up = (y - ticks[0]) / (ticks[-1] - ticks[0])
        return left + across * (width - left - 16), height - bottom - up * (height - bottom - 12)

    parts = []
    for tick in ticks:
        _, y = place(first, tick)
        parts.append(f'<path class="grid" d="M{left} {y:.1f}H{width - 16}"/>')
        parts.append(_text(left - 6, y + 4, f"{tick:g}", anchor="end"))
    step = max(1, -(-len(points) // 10))
    parts += [_text(place(x, ticks[0])[0], height - 10, f"{x:g}", anchor="middle") for x, _ in points[::step]]
    drawn = [place(x, y) for x, y in points]
    parts.append('<path class="curve" d="M' + "L".join(f"{x:.1f} {y:.1f}" for x, y in drawn) + '"/>')
    for (x, y), (epoch, value) in zip(drawn, points, strict=True):
        parts.append(
            f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3.5">{_title(f"{epoch:g}: {value:.4f}")}</circle>'
        )
    return _svg(width, height, parts)


def reliability(bins: Sequence[Bin]) -> str:
    """Share of right answers over probability, a dot a bin whose area grows with its rows."""
    side, left, bottom = 260, 40, 34
    room = side - left - 10

    def place(x: float, y: float) -> tuple[float, float]:
        return left + x * room, side - bottom - y * (side - bottom - 10)

    parts = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = place(tick, tick)
        parts.append(f'<path class="grid" d="M{left} {y:.1f}h{room}"/>')
        parts.append(_text(left - 6, y + 4, f"{tick:g}", anchor="end"))
        parts.append(_text(x, side - bottom + 15, f"{tick:g}", anchor="middle"))
    (x0, y0), (x1, y1) = place(0, 0), place(1, 1)
    parts.append(f'<path class="diagonal" d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}"/>')
    most = max(one.rows for one in bins)
    for one in bins:
        x, y = place(one.confidence, one.accuracy)
        _, even = place(one.confidence, one.confidence)
        told = _title(f"said {one.confidence:.3f}, right {one.accuracy:.3f}, {one.rows:,} answers")
        parts.append(f'<path class="gap" d="M{x:.1f} {even:.1f}V{y:.1f}"/>')
        radius = 2.5 + 6 * (one.rows / most) ** 0.5
        parts.append(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}">{told}</circle>')
    parts.append(_text(left + room / 2, side - 4, "probability", anchor="middle"))
    return _svg(side, side, parts)


def matrix(names: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """Counts as shaded fields, true label down and answer across."""
    cell = 44 if len(names) <= 12 else 30
    margin = 14 + max(_width(_cut(name)) for name in names)
    across = 0.75 * margin + 20
    parts = []
    for row, true in enumerate(names):
        y = across + row * cell
        parts.append(_text(margin - 6, y + cell / 2 + 4, true, anchor="end"))
        # Of the names across the slope keeps them apart, whatever their length.
        x = margin + row * cell + cell / 2
        parts.append(_text(x, across - 6, true, turn=f"rotate(-45 {x:.1f} {across - 6:.1f})"))
        total = max(1, sum(counts[row]))
        for column, count in enumerate(counts[row]):
            share = count / total
            told = _title(f"{true} answered as {names[column]}: {count:,} of {total:,} ({share:.1%})")
            place = f'x="{margin + column * cell:.1f}" y="{y:.1f}" width="{cell - 1}" height="{cell - 1}"'
            parts.append(f'<rect class="cell" {place} fill-opacity="{0.06 + 0.94 * share:.3f}">{told}</rect>')
            if count:
                kind = "on" if share > 0.5 else ""
                x = margin + column * cell + cell / 2
                parts.append(_text(x, y + cell / 2 + 4, f"{count:,}", anchor="middle", kind=kind))
    side = len(names) * cell
    return _svg(margin + side + across, across + side, parts)


def ranges(rows: Sequence[tuple[str, float, float, float]]) -> str:
    """Name, value and interval of each row, on one scale."""
    margin = 14 + max(_width(_cut(name, 40)) for name, *_ in rows)
    width, line_height = margin + 280, 24
    ticks = _ticks(min(low for *_, low, _ in rows), max(high for *_, high in rows))
    height = len(rows) * line_height + 26

    def place(value: float) -> float:
        return margin + (value - ticks[0]) / (ticks[-1] - ticks[0]) * (width - margin - 16)

    parts = []
    for tick in ticks:
        parts.append(f'<path class="grid" d="M{place(tick):.1f} 4V{height - 22}"/>')
        parts.append(_text(place(tick), height - 8, f"{tick:g}", anchor="middle"))
    for number, (name, value, low, high) in enumerate(rows):
        y = 4 + (number + 0.5) * line_height
        told = _title(f"{name}: {value:.3f} ({low:.3f} to {high:.3f})")
        parts.append(_text(margin - 8, y + 4, name, anchor="end", longest=40))
        parts.append(f'<path class="range" d="M{place(low):.1f} {y:.1f}H{place(high):.1f}">{told}</path>')
        parts.append(f'<circle class="dot" cx="{place(value):.1f}" cy="{y:.1f}" r="4">{told}</circle>')
    return _svg(width, height, parts)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers that hold both, about five."""
    spread = max(high - low, 1e-6 * abs(high), 1e-6 * abs(low), 1e-6)  # equal values have a scale too
    power = 10.0 ** np.floor(np.log10(spread / 4))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if spread / (power * factor) <= 5)
    first, last = np.floor(low / step + 1e-9), np.ceil(high / step - 1e-9)
    return [float(round(number * step, 10)) for number in np.arange(first, max(last, first + 1) + 1)]


def _svg(width: float, height: float, parts: Sequence[str]) -> str:
    """`role` hides the drawing's parts from screen readers: its caption tells what it shows."""
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    return f'<svg {size} role="presentation" xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", turn: str = "", kind: str = "", longest: int = NAME
) -> str:
    extra = (f' transform="{turn}"' if turn else "") + (f' class="{kind}"' if kind else "")
    whole = _title(text) if _cut(text, longest) != text else ""
    shown = escape(_cut(text, longest))
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{extra}>{shown}{whole}</text>'


def _title(text: str) -> str:
    return f"<title>{escape(text)}</title>"


def _width(text: str) -> float:
    """Of the drawn text; a Chinese character takes the room of two letters."""
    return LETTER * sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _cut(text: str, longest: int = NAME) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"

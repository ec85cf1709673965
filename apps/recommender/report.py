"""Report: an evaluation as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from apps.recommender.evaluate import Evaluation
from apps.recommender.intervals import Interval
from apps.recommender.metrics import Bin
from apps.recommender.summary import figure, name

LETTERS = 24
"""Of the longest name in a drawing; the whole shows when pointed at."""
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 66rem; margin: 2rem auto; padding: 0 1rem; color: #16202a; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; margin: .6rem 0 1.4rem; }
th, td { text-align: left; padding: .3rem 1rem .3rem 0; border-bottom: 1px solid #dde4ea; vertical-align: top; }
td.number, th.number { text-align: right; white-space: nowrap; } .wide { overflow-x: auto; }
svg { max-width: 100%; height: auto; } .grid { stroke: #dde4ea; } .even { stroke: #8b98a5; stroke-dasharray: 4 4; }
.range { stroke: #0b5c8f; stroke-width: 2; } .dot { fill: #0b5c8f; } .main { font-weight: 600; }
text { font: 12px system-ui, sans-serif; fill: #44525f; } .note { color: #44525f; }
@media (prefers-color-scheme: dark) { body { background: #11181f; color: #e4ebf1; } th, td { border-color: #2b3742; }
.grid { stroke: #2b3742; } .range { stroke: #6cb8e6; } .dot { fill: #6cb8e6; } text { fill: #a9b8c5; }
.note { color: #a9b8c5; } }
"""


def page(done: Evaluation) -> str:
    """The whole page; every name is escaped."""
    card = _table(("", ""), done.protocol.rows(), numbers=False)
    figures = list(done.figures[done.main])
    rows = [(name(done, one), *(figure(own[one]) for own in done.figures.values())) for one in figures]
    rows.append(("coverage", *(f"{share:.1%}" for share in done.coverage.values())))
    meanings = "".join(f"<li>{escape(name(done, one))}: {escape(done.meaning(one))}</li>" for one in figures)
    gains = [(part, figure(one), _verdict(one)) for part, one in done.gains.items()]
    groups = dict.fromkeys(one.of for one in done.slices)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>recommender: evaluation</title><style>{_STYLE}</style><h1>recommender: evaluation</h1>"
        f'<p class="note">Figures with their 95% bootstrap intervals over users, on {done.protocol.lists:,} lists.</p>'
        f"<h2>Protocol</h2>{card}"
        f"<h2>Ablation</h2>{dots({part: own['ndcg'] for part, own in done.figures.items()}, f'nDCG@{done.k} by part')}"
        f"{_table(('figure', *done.figures), rows)}<ul class='note'>{meanings}</ul>"
        f"<h2>{escape(done.main)} against the others</h2>"
        f"{_table(('part', f'nDCG@{done.k} gained, paired', 'verdict'), gains)}"
        f"{_calibration(done)}<h2>Slices</h2>" + "".join(_slices(done, group) for group in groups) + "</html>\n"
    )


def dots(figures: Mapping[str, Interval], label: str) -> str:
    """Values from 0 to 1 with their intervals, a line each, as SVG."""
    left, width, line = 190, 460, 26
    height = line * len(figures) + 30
    drawn = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = left + tick * width
        drawn.append(f'<path class="grid" d="M{x:.1f} 4V{height - 24}"/>')
        drawn.append(f'<text x="{x:.1f}" y="{height - 6}" text-anchor="middle">{tick:g}</text>')
    for number, (part, one) in enumerate(figures.items()):
        y = 4 + line * (number + 0.5)
        shown = part if len(part) <= LETTERS else part[: LETTERS - 1] + "…"
        whole = f"<title>{escape(f'{part}: {figure(one)}')}</title>"
        drawn.append(f'<text x="{left - 10}" y="{y + 4:.1f}" text-anchor="end">{whole}{escape(shown)}</text>')
        if one.value == one.value:
            low, at, high = (left + edge * width for edge in (one.low, one.value, one.high))
            drawn.append(f'<path class="range" d="M{low:.1f} {y:.1f}H{high:.1f}"/>')
            drawn.append(f'<circle class="dot" cx="{at:.1f}" cy="{y:.1f}" r="4">{whole}</circle>')
    return _svg(left + width + 20, height, label, drawn)


def diagram(bins: Sequence[Bin]) -> str:
    """What was said across, how often it came true up, as SVG; a dot's area grows with its predictions."""
    side, edge = 300, 40
    room = side - edge - 12
    most = max(one.count for one in bins)
    drawn = [f'<path class="even" d="M{edge} {12 + room}L{edge + room} 12"/>']
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = edge + tick * room, 12 + (1 - tick) * room
        drawn.append(f'<path class="grid" d="M{edge} {y:.1f}h{room}"/>')
        drawn.append(f'<text x="{edge - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
        drawn.append(f'<text x="{x:.1f}" y="{side - edge + 28}" text-anchor="middle">{tick:g}</text>')
    for one in bins:
        x, y = edge + one.said * room, 12 + (1 - one.true) * room
        told = f"<title>{one.count:,} said {one.said:.3f}, true {one.true:.3f}</title>"
        drawn.append(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="{2 + 5 * (one.count / most) ** 0.5:.1f}">')
        drawn.append(f"{told}</circle>")
    return _svg(side, side, "Share that came true over probability", drawn)


def _calibration(done: Evaluation) -> str:
    if done.calibration_error is None or not done.reliability:
        return ""
    told = f"calibration error {done.calibration_error:.4f}; on the dashed line what is said comes true as often"
    return f'<h2>Calibration</h2>{diagram(done.reliability)}<p class="note">{told}</p>'


def _slices(done: Evaluation, group: str) -> str:
    rows = [
        (one.name, f"{one.lists:,}", *(figure(found) for found in one.figures.values()))
        for one in done.slices
        if one.of == group
    ]
    return f"<h3>nDCG@{done.k} by {escape(group)}</h3>{_table((group, 'lists', *done.figures), rows)}"


def _verdict(gain: Interval) -> str:
    if not gain.excludes_zero:
        return "no difference shown"
    return "better" if gain.low > 0 else "worse"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = True) -> str:
    def cells(tag: str, values: Sequence[str]) -> str:
        kinds = ("" if place == 0 or not numbers else ' class="number"' for place in range(len(values)))
        return "".join(f"<{tag}{kind}>{escape(value)}</{tag}>" for kind, value in zip(kinds, values, strict=True))

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    top = f"<tr>{cells('th', head)}</tr>" if any(head) else ""
    return f'<div class="wide"><table>{top}{body}</table></div>'


def _svg(width: int, height: int, label: str, parts: Iterable[str]) -> str:
    size = f'viewBox="0 0 {width} {height}" width="{width}"'
    return f'<svg {size} role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'

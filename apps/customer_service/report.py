"""Report: an evaluation as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from apps.customer_service.evaluate import Evaluation, Outcome

if TYPE_CHECKING:
    from apps.customer_service.bot import Bot

MEANING = {
    "article_top3": "a right article is among the first three that it would answer from",
    "article_top3_search": "the same, by the search alone, before sentences are read",
    "ndcg10": "nDCG@10 of the search over articles",
    "ndcg10_dense": "... by meaning alone",
    "ndcg10_bm25": "... by words alone",
    "gain_over_dense": "nDCG@10 gained over meaning alone, paired",
    "gain_over_bm25": "nDCG@10 gained over words alone, paired",
    "coverage": "answerable questions that are answered",
    "cited_sentence": "of those answered: a labelled sentence is cited",
    "cited_sentence_of_all": "of all answerable: it would be cited, were every question answered",
    "wrong_when_unanswerable": "questions without an answer that are answered all the same",
    "follow_up_top3": "follow-ups: a right article is among the first three",
    "follow_up_gain_over_raw": "... gained over the last turn alone, paired",
    "talk_understood": "small talk, abuse and wishes for a person that are taken for such",
}
SHOWN = 60
"""Faults of a kind that are listed."""
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #16202a; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #dde4ea; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
svg { max-width: 34rem; height: auto; } .grid { stroke: #dde4ea; }
.curve { fill: none; stroke: #0b5c8f; stroke-width: 2; }
.bar { stroke: #c2410c; stroke-dasharray: 4 3; } text { font-size: 11px; fill: #44525f; } .note { color: #44525f; }
@media (prefers-color-scheme: dark) { body { background: #11181f; color: #e4ebf1; } th, td { border-color: #2b3742; }
.grid { stroke: #2b3742; } .curve { stroke: #6cb8e6; } text, .note { fill: #a9b8c5; color: #a9b8c5; } }
"""


def page(done: Evaluation, bot: Bot) -> str:
    """The whole page."""
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(MEANING.get(name, ''))}</td>"
        f'<td class="number">{one.value:.3f}</td><td class="number">{one.low:.3f} to {one.high:.3f}</td></tr>'
        for name, one in done.figures.items()
    )
    direct = [one for one in done.outcomes if one.asked.kind == "answerable"]
    without = [one for one in done.outcomes if one.asked.kind == "unanswerable"]
    parts = (
        ("Answered without an answer", [one for one in without if one.told]),
        ("Answered with another sentence than the labelled", [one for one in direct if one.told and not one.right]),
        ("Not answered, though there is an answer", [one for one in direct if not one.told]),
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>support-bot: evaluation</title><style>{_STYLE}</style><h1>support-bot: evaluation</h1>"
        f'<p class="note">{escape(", ".join(bot.models.names()))}; {len(done.outcomes):,} questions; intervals are 95% '
        "bootstrap intervals over questions.</p>"
        "<h2>Figures</h2><table><tr><th>figure</th><th>meaning</th><th>value</th><th>interval</th></tr>"
        f"{rows}</table><h2>Risk and coverage</h2>"
        f"{curve(done.risk_coverage(), bot.bar)}"
        '<p class="note">Each bar of confidence answers a share of the answerable questions (across) and of those '
        "without an answer (up). The dashed line is the bar in use.</p>"
        + "".join(f"<h2>{escape(title)} ({len(found)})</h2>{_faults(found)}" for title, found in parts)
        + "</html>\n"
    )


def curve(points: Sequence[tuple[float, float, float]], bar: float) -> str:
    """The risk-coverage curve as SVG."""
    width, height, left, bottom = 460, 300, 46, 40

    def place(coverage: float, risk: float) -> tuple[float, float]:
        return left + coverage * (width - left - 16), height - bottom - risk * (height - bottom - 12)

    drawn = []
    for tick in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        (x, _), (_, y) = place(tick, 0), place(0, tick)
        drawn.append(f'<path class="grid" d="M{left} {y:.1f}H{width - 16}M{x:.1f} 12V{height - bottom}"/>')
        drawn.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
        drawn.append(f'<text x="{x:.1f}" y="{height - bottom + 16}" text-anchor="middle">{tick:g}</text>')
    line = "L".join("{:.1f} {:.1f}".format(*place(coverage, risk)) for _, coverage, risk in points)
    drawn.append(f'<path class="curve" d="M{line}"/>')
    here = [coverage for at, coverage, _ in points if at >= bar]
    x, _ = place(here[-1] if here else 0.0, 0)
    drawn.append(f'<path class="bar" d="M{x:.1f} 12V{height - bottom}"/>')
    middle = (left + width - 16) / 2
    drawn.append(f'<text x="{middle}" y="{height - 6}" text-anchor="middle">answerable that are answered</text>')
    drawn.append(
        f'<text transform="translate(12 {height / 2}) rotate(-90)" text-anchor="middle">unanswerable answered</text>'
    )
    label = "Risk-coverage curve"
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{label}">{"".join(drawn)}</svg>'


def _faults(found: Sequence[Outcome]) -> str:
    if not found:
        return '<p class="note">none</p>'
    rows = "".join(
        f"<tr><td>{escape(one.asked.text)}</td><td>{escape(one.answer.text if one.told else '')}</td>"
        f"<td>{escape(one.asked.article or '')}</td>"
        f'<td class="number">{one.confidence:.2f}</td></tr>'
        for one in sorted(found, key=lambda one: -one.confidence)[:SHOWN]
    )
    return f"<table><tr><th>question</th><th>answer</th><th>labelled</th><th>confidence</th></tr>{rows}</table>"

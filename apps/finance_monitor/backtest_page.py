"""A backtest as one HTML page that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from apps.finance_monitor import plots
from apps.finance_monitor.backtest import Event
from apps.finance_monitor.chance import Chance
from apps.finance_monitor.telling import told
from apps.finance_monitor.trial import Trial, minutes

EVENTS = 40
"""Events that are drawn."""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #16202a; }
table { border-collapse: collapse; font-size: .92rem; } h2 { margin-top: 2.4rem; } h3 { margin: 1.6rem 0 0; }
th, td { text-align: right; padding: .3rem .9rem; border-bottom: 1px solid #dde4ea; }
th:first-child, td:first-child { text-align: left; }
svg { width: 100%; height: auto; background: #fff; } svg text { font-family: system-ui, sans-serif !important; }
.note { color: #44525f; margin: .2rem 0; }
"""


def page(trial: Trial, events: Sequence[Event], against: Chance | None, others: Sequence[Trial]) -> str:
    """The whole page.

    Args:
        events: what is known to have happened, decoys too.
        others: the trials of a sweep.
    """
    steps = trial.course.steps
    parts = [
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>finance-monitor: backtest</title><style>{_STYLE}</style></head><body>",
        "<h1>finance-monitor: backtest</h1>",
        f'<p class="note">{steps[0]:%Y-%m-%d} to {steps[-1]:%Y-%m-%d}, under a budget of {trial.budget:g} false alarms '
        "a day. Times are UTC.</p>",
        *(f"<p>{escape(line)}</p>" for line in told(trial, against)),
        "<h2>All of it</h2>",
        '<p class="note">Bars: surges (yellow) and decoys (grey). Marks: alarms, green where they tell of a surge, red '
        "where they are false.</p>",
        plots.overview(trial, events),
    ]
    if events:
        parts.append(
            '<h2>Event by event</h2><p class="note">Line: negative stories of the window that ends there. Above it: '
            "alarms from opening to end.</p>"
        )
    for event in events[:EVENTS]:
        parts += [
            f"<h3>{escape(event.name)}</h3>",
            f'<p class="note">{escape(_became(trial, event))}</p>',
            plots.around(trial, event),
        ]
    if len(events) > EVENTS:
        parts.append(f'<p class="note">and {len(events) - EVENTS} more</p>')
    if others:
        parts += ["<h2>Other budgets</h2>", plots.curve(others), _table(others)]
    return "\n".join([*parts, "</body></html>"])


def _became(trial: Trial, event: Event) -> str:
    note = f" Known: {event.note}" if event.note else ""
    if event.kind != "surge":
        return f"Decoy.{note}"
    for match in trial.score.found if trial.score else ():
        if match.event is event:
            return f"Found {match.delay:.2f} windows ({minutes(match.delay):.0f} minutes) after its start.{note}"
    return f"Missed.{note}"


def _table(trials: Sequence[Trial]) -> str:
    head = ("budget a day", "recall", "precision", "mean delay", "alarms a day", "false a day")
    rows = []
    for one in trials:
        cells = [f"{one.budget:g}", "", "", "", f"{one.alarms.a_day:.3f}", ""]
        if one.score:
            cells[1:4] = [
                f"{one.score.recall:.2f}",
                f"{one.score.precision:.2f}",
                f"{one.score.mean_delay_windows:.2f}",
            ]
            cells[5] = f"{one.false_alarms(one.score).a_day:.3f}"
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return "<table><tr>" + "".join(f"<th>{name}</th>" for name in head) + f"</tr>{''.join(rows)}</table>"

"""Telling: a trial in sentences, for the terminal and the page."""

from __future__ import annotations

from apps.finance_monitor.chance import Chance
from apps.finance_monitor.trial import Trial, minutes


def told(trial: Trial, against: Chance | None) -> list[str]:
    """A trial in sentences."""
    alarms = trial.alarms
    low, high = alarms.interval
    count = f"{alarms.count:,} alarms in {alarms.days:.1f} days: {alarms.a_day:.3f} a day (95% {low:.3f} to {high:.3f})"
    score = trial.score
    if score is None:
        return [count]
    false = trial.false_alarms(score)
    low, high = false.interval
    lines = [
        f"recall {score.recall:.2f} ({len(score.found)} of {len(score.found) + len(score.missed)} surges), "
        f"precision {score.precision:.2f}, F1 {score.f1:.2f}"
    ]
    if score.found:
        delays = score.mean_delay_windows, score.median_delay_windows, score.max_delay_windows
        lines.append(
            "delay {:.2f} windows on average, median {:.2f}, largest {:.2f}".format(*delays)
            + " ({:.0f}, {:.0f} and {:.0f} minutes)".format(*map(minutes, delays))
        )
    lines += [count, f"{false.count:,} false: {false.a_day:.3f} a day (95% {low:.3f} to {high:.3f})"]
    if against:
        how = "exact" if against.resolution is None else f"drawn, not told below {against.resolution:.0e}"
        lines.append(f"as many alarms at random find as many surges with probability {against.p_value:.1e} ({how})")
    return lines

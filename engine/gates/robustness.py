"""Robustness: how often the challenger's answers change under typing errors, case, punctuation and the like, or fail to
move where they must (CheckList; Ribeiro et al. 2020, arXiv 2005.04118), on the golden texts.

A probe fails where its 95% interval lies beyond both its bound of the recipe (`gates.robustness`) and the champion's
rate: chance alone carries one of many past a bound that the champion is near.
"""

from __future__ import annotations

from engine.decision import Gate
from engine.evaluate.asked import LEAST, label_heads
from engine.evaluate.robustness import Probe, robustness
from engine.gates.trial import Trial


def ask(trial: Trial) -> list[Gate]:
    bounds, rows, found = trial.settings.robustness, trial.rows[: trial.golden], []
    for head in label_heads(trial.challenger.predictor.spec):
        before, after = (
            robustness(side.asking, rows, head=head.name, bounds=bounds) for side in (trial.champion, trial.challenger)
        )
        both = [(one, theirs) for theirs, one in zip(before, after, strict=True) if one.tried]
        if both:
            worst, theirs = max(both, key=lambda pair: (not _held(*pair), pair[0].rate - pair[0].bound))
            told = f"{worst.name}, failed by {worst.failed} of {worst.tried} texts (champion: {theirs.failed})"
            note = f"{head.name}: worst of {len(both)} probes is {told}"
            held = all(_held(*pair) for pair in both)
            found.append(Gate("robustness", held, worst.rate, worst.bound, worst.interval, note))
    return found


def _held(one: Probe, champions: Probe) -> bool:
    return one.tried < LEAST or one.interval[0] <= max(one.bound, champions.rate)

"""Fairness: how far the challenger's answers move when only a name, a place or a gender is exchanged (counterfactual
fairness of texts; Garg et al. 2019, arXiv 1809.10610), on the golden texts.

An exchange fails where its 95% interval lies beyond both the bound of the recipe (`gates.fairness`) and what the
champion does: of fifteen exchanges on a hundred texts, chance alone carries one past a bound that the champion is near.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.decision import Gate
from engine.evaluate.asked import LEAST, label_heads
from engine.evaluate.fairness import Gap, fairness
from engine.gates.trial import Trial


def ask(trial: Trial) -> list[Gate]:
    bounds, texts, found = trial.settings.fairness, trial.texts[: trial.golden], []
    for head in label_heads(trial.challenger.predictor.spec):
        before, after = (
            fairness(side.asking, texts, head=head.name, bounds=bounds) for side in (trial.champion, trial.challenger)
        )
        champions = {gap.name: gap for gap in before}
        measures = [
            one for gap in after if gap.tried and gap.name in champions for one in _measures(gap, champions[gap.name])
        ]
        if measures:
            worst = max(measures, key=lambda one: (not one.held, one.value - one.bound))
            told = f"{worst.told} (champion: {worst.champions:.4f})"
            note = f"{head.name}: worst of {len(measures) // 2} exchanges is {told}"
            found.append(
                Gate("fairness", all(one.held for one in measures), worst.value, worst.bound, worst.interval, note)
            )
    return found


@dataclass(frozen=True)
class Measure:
    told: str
    value: float
    bound: float
    champions: float
    interval: tuple[float, float]
    tried: int

    @property
    def held(self) -> bool:
        return self.tried < LEAST or self.interval[0] <= max(self.bound, self.champions)


def _measures(gap: Gap, champions: Gap) -> list[Measure]:
    """How far the probabilities move and how many labels change, each with what it may come to."""
    moved = f"{gap.name}, by which the probabilities of {gap.tried} texts move"
    flips = f"{gap.name}, by which labels of {gap.tried} texts change"
    return [
        Measure(moved, gap.gap, gap.max_gap, champions.gap, gap.interval, gap.tried),
        Measure(flips, gap.flips, gap.max_flips, champions.flips, gap.flips_interval, gap.tried),
    ]

"""Financial PhraseBank, 50% agreement: train and test as given, calibration and early stopping cut from train."""

from __future__ import annotations

import numpy as np

from bench.contract import Figures, public_data
from bench.held_out import averaged
from bench.seeds import trained
from engine import Progress, Recipe


def run(*, seeds: int) -> Figures:
    """Means over seeds of the deployed (exported, calibrated) models; intervals over the test rows."""
    public_data("financial_phrasebank")
    with Progress() as progress:
        versions = trained(Recipe.load("recipes/bench/phrasebank.yaml"), seeds, progress)
        found, intervals = averaged(
            versions, str(public_data("financial_phrasebank") / "50agree_test.csv"), "sentiment"
        )
    each = [version.manifest()["metrics"]["heads"]["sentiment"]["macro_f1"]["value"] for version in versions]
    settings = {
        "seeds": len(versions),
        "macro_f1_of_seeds_in_torch": [round(value, 4) for value in each],
        "spread": round(float(np.std(each)), 4),
        "dropped_for_leaks": versions[0].manifest()["rows"]["dropped_for_leaks"],
    }
    return Figures(found, intervals, settings)

"""The model trained on Keel's own data alone, on the PhraseBank test set."""

from __future__ import annotations

from bench.contract import Figures, public_data
from bench.held_out import averaged
from bench.seeds import trained
from engine import Progress, Recipe


def run(*, seeds: int) -> Figures:
    """Means over seeds; the model has seen no PhraseBank row of any kind."""
    file = str(public_data("financial_phrasebank") / "50agree_test.csv")
    with Progress() as progress:
        versions = trained(Recipe.load("recipes/finance_news.yaml"), seeds, progress)
        found, intervals = averaged(versions, file, "sentiment", ["data.columns.text=text"])
    return Figures(found, intervals, {"seeds": len(versions)})

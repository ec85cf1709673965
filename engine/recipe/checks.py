"""Checks: what a model must hold under changed texts; the recipe's sections `gates.robustness` and `gates.fairness`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.recipe.section import Count, Fraction, Section

Invariance = Literal[
    "typos", "case", "punctuation", "whitespace", "contractions", "neutral_sentence", "number", "width"
]
Directional = Literal["negation", "intensifier", "bad_clause", "good_clause"]


class Robustness(Section):
    """How often a probe may change, or fail to move, an answer."""

    max_failures: Fraction = 0.2
    """Share of the texts that a probe fits, of a multi-label head the mean Jaccard distance of their labels; of each
    probe without a bound of its own."""
    bounds: dict[Invariance | Directional, Fraction] = {}
    directional: dict[str, Annotated[list[str], Field(min_length=2)]] = {}
    """Head -> its labels from worst to best; only such heads are asked the directional probes."""
    most: Count = 200
    """Texts a probe, the first that it fits."""

    @model_validator(mode="after")
    def _check(self) -> Robustness:
        for head, labels in self.directional.items():
            if len(set(labels)) < len(labels):
                raise ValueError(f"directional.{head}: a label stands twice")
        return self

    def bound(self, probe: Invariance | Directional) -> float:
        """Share of texts that may fail a probe."""
        return self.bounds.get(probe, self.max_failures)


class Fairness(Section):
    """How far an answer may move when only who or where it is about changes."""

    max_gap: Fraction = 0.15
    """Mean distance of the probabilities, 0 to 1."""
    max_flips: Fraction = 0.1
    """Share of texts whose label changes; of a multi-label head the mean Jaccard distance of their labels."""
    most: Count = 100
    """Texts an exchange, the first that it fits."""

"""Retrain: how feedback makes a challenger of the champion."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from engine.recipe.section import Count, Fraction, Section


class Vetting(Section):
    """Which feedback may teach; see `engine.feedback.vet`."""

    confidence: Annotated[float, Field(ge=0.5, lt=1)] = 0.8
    """Probability from which a label is taken."""
    new_label_raters: Count = 3
    """Raters, each of another key, without whom no new label is taken, where no trusted one names it."""
    rater_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Most of a label's rows that may be one rater's alone."""
    rater_rows: Count = 10
    """Rows of a label that may be one rater's alone, however many there are."""
    key_rows: Count = 50
    """The same of one key, whoever speaks by it: the people of a desk may share one."""
    trusted: tuple[str, ...] = ()
    """Raters who are known, or keys for all who speak by them: no limit holds for them."""


class Retrain(Section):
    """The champion learns on from where it is, from feedback and from some rows that it knows."""

    vetting: Vetting = Vetting()
    neighbours: Literal["encoder", "letters"] = "encoder"
    """What tells which texts are alike when feedback is vetted: the vectors of the recipe's base, or pieces of words,
    which take less time and tell less."""
    replay: Count = 40
    """Old rows of each label that are learnt again beside the new ones."""
    epochs: Count = 2
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Factor on the recipe's learning rates."""
    new_label: Count = 10
    """Rows that a label unknown so far must have to be learnt; fewer may be a slip of the pen."""
    held: Fraction = 0.2
    """Share of a new label's rows that judge and never teach: the golden rows have none of it."""

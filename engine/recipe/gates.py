"""Gates: what a challenger must hold against the champion to take its place."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field

from engine.recipe.checks import Fairness, Robustness
from engine.recipe.section import Count, Fraction, Paths, Positive, Section

Name = Literal["better", "forgetting", "slices", "calibration", "robustness", "fairness", "latency", "size"]
NAMES: tuple[Name, ...] = get_args(Name)


class Gates(Section):
    """All of them must hold. Differences are the challenger's figure less the champion's, on the same golden rows."""

    golden: Paths | None = None
    """Labelled files that judge every challenger and never teach one; by default the recipe's test rows. They are
    frozen at the first retrain."""
    ask: Annotated[list[Name], Field(min_length=1)] = list(NAMES)
    margin: Fraction | None = None
    """Without it the challenger must be better: the 95% interval of the difference lies above zero. With it no worse is
    enough: the interval lies above -margin (non-inferiority)."""
    forgetting: Fraction = 0.01
    """Most that a head may lose on the labels which the champion knew."""
    slices: list[str] = ["label", "language", "length"]
    """By what the golden rows are told apart: these, or any column of their file."""
    slice_loss: Fraction = 0.05
    """Most that a slice may lose, unless chance would explain it."""
    slice_rows: Count = 20
    """Rows of the smallest slice that is judged."""
    calibration: Fraction = 0.02
    """Most that a head's calibration error may rise, unless chance would explain it."""
    robustness: Robustness = Robustness()
    fairness: Fairness = Fairness()
    latency: Positive = 1.5
    """Most times the champion's latency."""
    size: Positive = 1.5
    """Most times the champion's bytes on disk."""

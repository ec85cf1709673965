"""Data: the files, their columns, and how the rows are cut."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.recipe.section import Count, Fraction, Paths, Section


class Split(Section):
    """Shares of the rows, cut by group, near-duplicates kept together. A given test file takes the place of `test`."""

    test: Fraction = 0.15
    dev: Fraction = 0.1
    calibration: Fraction = 0.1
    group: str | None = None
    """Column whose equal values stay on one side."""
    seed: int = 13

    @model_validator(mode="after")
    def _check(self) -> Split:
        if self.test + self.dev + self.calibration >= 1:
            raise ValueError("test + dev + calibration leave nothing to train on: their sum must be under 1")
        return self


class Noise(Section):
    """Copies of the train rows with typing errors, made after the split: they teach a model to read past them."""

    share: Fraction = 0.1
    """Share of the letters that change."""
    copies: Count = 1


class Data(Section):
    train: Annotated[Paths, Field(min_length=1)]
    dev: Paths | None = None
    """A given validation file: its rows become dev and calibration, in the ratio of their shares."""
    test: Paths | None = None
    columns: dict[str, str] = {}
    """Name in the recipe ("text", "pair", a head) -> column in the file; a name left out is its own column."""
    where: dict[str, list[str]] = {}
    """Column -> values: only rows with one of the values are read."""
    split: Split = Split()
    per_label: Count | None = None
    """Few shots: train keeps this many rows of each label, drawn by the seed; the rest of train is left out."""
    noise: Noise | None = None
    on_leak: Literal["refuse", "drop"] = "refuse"
    max_rejected: Fraction = 0.05
    """Largest share of bad rows before the run stops."""

    @property
    def text_column(self) -> str:
        return self.column("text")

    def column(self, name: str) -> str:
        """The file's column for a name of the recipe."""
        return self.columns.get(name, name)

"""Columns: which columns of the items are features, settled when a training begins and kept as items are added."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from apps.recommender.items import KNOWN, STAMP, Items

CODED = ("category", "seller")
FLOAT = float(np.finfo(np.float32).max)
SHARED = 0.5
"""Distinct values a row from which a column of texts says nothing: hardly two items have the same."""


@dataclass(frozen=True)
class Columns:
    """Names of the items' columns, by what is made of them.

    Attributes:
        codes: of categories, which two items may share; numbers: as they are.
        priced, dated: there are prices, and times of publication.
        unused: column that is no feature -> why. A training names them.
    """

    codes: tuple[str, ...]
    numbers: tuple[str, ...]
    priced: bool
    dated: bool
    unused: Mapping[str, str]

    @classmethod
    def of(cls, items: Items) -> Columns:
        frame = items.frame
        codes, numeric, unused = [name for name in CODED if name in frame], [], {}
        for name in map(str, frame.columns):
            if name in KNOWN or name.endswith(STAMP):
                continue
            is_number = frame[name].dtype.kind in "biuf"
            if why := _useless(frame[name], is_number):
                unused[name] = why
            else:
                (numeric if is_number else codes).append(name)
        return cls(tuple(codes), tuple(numeric), "price" in frame, "published" in frame, unused)

    def told(self) -> list[str]:
        """A line for each column that is no feature."""
        return [f"column '{name}' of the items is left out: {why}" for name, why in self.unused.items()]

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> Columns:
        """From its fields as JSON gives them."""
        return cls(**{**value, "codes": tuple(value["codes"]), "numbers": tuple(value["numbers"])})


def numbers(column: pd.Series[Any]) -> NDArray[np.float32]:
    """What is no finite number is missing."""
    found = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    return np.where(np.abs(found) < FLOAT, found, np.nan).astype(np.float32)


def labels(column: pd.Series[Any]) -> list[str | None]:
    """Each value as a text; None where it is missing or blank."""
    missing = column.isna().to_numpy()
    return [None if gone else str(value).strip() or None for value, gone in zip(column, missing, strict=True)]


def _useless(column: pd.Series[Any], is_number: bool) -> str:
    """Why a column says nothing of an item, or nothing."""
    values = numbers(column).tolist() if is_number else labels(column)
    present = [value for value in values if value is not None and value == value]
    distinct = len(set(present))
    if not present:
        return "it holds no value"
    if distinct == 1 and len(present) == len(values):
        return "all items have the same value"
    if not is_number and distinct > max(1, SHARED * len(present)):
        return f"{distinct:,} different texts for {len(present):,} items, so that hardly two share one"
    return ""

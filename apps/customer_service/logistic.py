"""Logistic: a logistic regression over named figures, small enough to be stored as numbers and read by a person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Logistic:
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    """Of the figures, standardised."""
    bias: float

    def __call__(self, values: Values) -> Values:
        """Probabilities, shape (rows,), of figures of shape (rows, figures)."""
        standard = (values - np.array(self.mean)) / np.array(self.scale)
        return np.asarray(1 / (1 + np.exp(-np.clip(standard @ np.array(self.weights) + self.bias, -30, 30))))

    @classmethod
    def fit(cls, values: Values, truth: NDArray[np.bool_]) -> Logistic:
        """Both kinds of rows weigh the same, however many there are of each."""
        from sklearn.linear_model import LogisticRegression

        mean, scale = values.mean(0), np.maximum(values.std(0), 1e-6)
        model = LogisticRegression(class_weight="balanced", max_iter=2000)
        model.fit((values - mean) / scale, truth)
        return cls(
            tuple(mean.tolist()), tuple(scale.tolist()), tuple(model.coef_[0].tolist()), float(model.intercept_[0])
        )

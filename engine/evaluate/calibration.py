"""Temperature scaling a head, and the calibration error before and after (Guo et al. 2017, arXiv 1706.04599)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
BINS = 15
COLDEST, HOTTEST = 0.05, 20.0


def probabilities(logits: Array, temperature: float, *, multi_label: bool) -> Array:
    """Softmax (single label) or sigmoid (multi-label) of logits / temperature, shape (rows, labels)."""
    scaled = logits.astype(np.float64) / temperature
    if multi_label:
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * scaled)))
    exponents = np.exp(scaled - scaled.max(-1, keepdims=True))
    return np.asarray(exponents / exponents.sum(-1, keepdims=True))


def fit_temperature(logits: Array, truth: NDArray[np.generic], *, multi_label: bool) -> float:
    """Temperature in [0.05, 20] with the least negative log likelihood on the calibration rows.

    Args:
        logits: shape (rows, labels).
        truth: label numbers (rows,), or 0/1 of shape (rows, labels) for a multi-label head.
    """
    from scipy.optimize import minimize_scalar

    def at(log_temperature: float) -> float:
        return loss(logits, truth, float(np.exp(log_temperature)), multi_label=multi_label)

    found = minimize_scalar(at, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded")
    return float(np.exp(found.x))


def loss(logits: Array, truth: NDArray[np.generic], temperature: float, *, multi_label: bool) -> float:
    """Mean negative log likelihood at a temperature; of a multi-label head, over rows and labels."""
    scaled = logits.astype(np.float64) / temperature
    if multi_label:
        return float((np.logaddexp(0.0, scaled) - scaled * truth.astype(np.float64)).mean())
    picked = scaled[np.arange(len(truth)), truth.astype(np.intp)]
    highest = scaled.max(-1)
    return float((highest + np.log(np.exp(scaled - highest[:, None]).sum(-1)) - picked).mean())


def ece(confidence: Array, correct: NDArray[np.bool_]) -> float:
    """Expected calibration error over 15 equal-width bins: mean over rows of |accuracy - confidence| of their bin."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, weights=correct.astype(float) - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / max(1, len(confidence)))


def head_ece(probs: Array, truth: NDArray[np.generic], *, multi_label: bool) -> float:
    """Calibration error of a head: of the top label, or of every yes-or-no decision of a multi-label head."""
    if multi_label:
        confidence = np.maximum(probs, 1 - probs).ravel()
        return ece(confidence, ((probs >= 0.5) == (truth.astype(float) > 0.5)).ravel())
    return ece(probs.max(-1), np.asarray(probs.argmax(-1) == truth))

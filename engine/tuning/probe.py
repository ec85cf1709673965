"""Linear probe: the heads start as logistic regressions on the untouched encoder, then everything is tuned.

Random heads first drag the encoder towards themselves and spoil what it knew; probed heads do not, and are better away
from the training data (Kumar et al. 2022, "Fine-tuning can distort pretrained features", arXiv 2202.10054).
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.data.batches import TokenBudgetSampler
from engine.tasks.encoder import EncoderModel, TextEncoder
from engine.tasks.encoding import MISSING, Collator, Rows

STRENGTH = 0.01
"""Inverse of the L2 penalty (scikit-learn's C) over features of unit mean square."""


PROBED = frozenset({"single", "multi", "regression"})


def fit_heads(model: EncoderModel, rows: Rows) -> None:
    """Set every label head of `model` to the logistic regression of its labels on the mean-pooled encoder, and every
    regression head to the ridge regression of its numbers; heads over tokens and of pairs stay as they are."""
    if not any(head.kind in PROBED for head in model.specs):
        return
    features = embedded(model, rows)
    # One scale for all features: scaling each to unit spread would give large weights to features that hardly move,
    # and with them the rounding of an int8 export.
    centre, spread = features.mean(0), float(features.std(0).mean())
    scaled = (features - centre) / spread
    for head in model.specs:
        if head.kind not in PROBED:
            continue
        labels = rows.targets[head.name]
        if head.kind == "regression":
            _fit_number(model, head.name, scaled, labels, centre, spread)
            continue
        present = labels.reshape(len(labels), -1)[:, 0] != MISSING
        layer = model.heads.get_submodule(head.name)
        weight, offset = layer.get_parameter("weight"), layer.get_parameter("bias")
        columns = range(len(head.labels)) if head.multi_label else [None]
        for column in columns:
            truth = labels[present] if column is None else labels[present, column]
            found = _regression(scaled[present], truth.astype(np.int64), 1 if column is not None else len(head.labels))
            if found is None:
                continue
            weights, bias = found
            weights = weights / spread
            bias = bias - weights @ centre
            where = slice(None) if column is None else slice(column, column + 1)
            with torch.no_grad():
                weight[where] = torch.from_numpy(weights.astype(np.float32))
                offset[where] = torch.from_numpy(bias.astype(np.float32))


def _fit_number(model: EncoderModel, name: str, scaled: Any, labels: Any, centre: Any, spread: float) -> None:
    from sklearn.linear_model import Ridge

    present = np.isfinite(labels)
    fitted = Ridge(alpha=1 / STRENGTH).fit(scaled[present], labels[present].astype(np.float64))
    weights = fitted.coef_ / spread
    layer = model.heads.get_submodule(name)
    with torch.no_grad():
        layer.get_parameter("weight")[0] = torch.from_numpy(weights.astype(np.float32))
        layer.get_parameter("bias")[0] = float(fitted.intercept_ - weights @ centre)


def _regression(
    features: NDArray[np.float64], truth: NDArray[np.int64], outputs: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Weights (outputs, width) and bias (outputs,) for logits; None where the rows do not show two classes."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    seen = np.unique(truth)
    if len(seen) < 2:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = LogisticRegression(C=STRENGTH, max_iter=200).fit(features, truth)
    if outputs == 1:
        return fitted.coef_, fitted.intercept_
    weights = np.zeros((outputs, features.shape[1]))
    bias = np.full(outputs, float(np.min(fitted.intercept_)) - 1.0)
    if len(seen) == 2:  # one row of weights: the logit of the second class over the first
        weights[seen[0]], bias[seen[0]] = -fitted.coef_[0] / 2, -fitted.intercept_[0] / 2
        weights[seen[1]], bias[seen[1]] = fitted.coef_[0] / 2, fitted.intercept_[0] / 2
    else:
        weights[seen], bias[seen] = fitted.coef_, fitted.intercept_
    return weights, bias


@torch.inference_mode()
def embedded(model: TextEncoder, rows: Rows) -> NDArray[np.float64]:
    """Mean-pooled vectors of the rows, shape (rows, width)."""
    model.eval()
    collate = Collator(rows.pad_token_id)
    device = next(model.parameters()).device
    found = np.zeros((len(rows), model.width))
    for batch in TokenBudgetSampler(rows.lengths, 4096, seed=None):
        inputs = collate([{"input_ids": rows.input_ids[row]} for row in batch])
        found[batch] = model.embed(inputs["input_ids"].to(device), inputs["attention_mask"].to(device)).cpu().numpy()
    return found

"""Linear probe: the heads start as logistic regressions on the untouched encoder, then everything is tuned.

Random heads first drag the encoder towards themselves and spoil what it knew; probed heads do not, and are better away
from the training data (Kumar et al. 2022, "Fine-tuning can distort pretrained features", arXiv 2202.10054).
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from numpy.typing import NDArray

from engine.data.batches import TokenBudgetSampler
from engine.tasks.classify import MISSING, Classifier, Collator, Rows

STRENGTH = 0.01
"""Inverse of the L2 penalty (scikit-learn's C) over features of unit mean square."""


def fit_heads(model: Classifier, rows: Rows, *, pad_token_id: int) -> None:
    """Set every head of `model` to the logistic regression of its labels on the mean-pooled encoder."""
    features = _features(model, rows, pad_token_id)
    # One scale for all features: scaling each to unit spread would give large weights to features that hardly move,
    # and with them the rounding of an int8 export.
    centre, spread = features.mean(0), float(features.std(0).mean())
    scaled = (features - centre) / spread
    for head in model.specs:
        labels = rows.labels[head.name]
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
def _features(model: Classifier, rows: Rows, pad_token_id: int) -> NDArray[np.float64]:
    model.eval()
    collate = Collator(pad_token_id)
    device = next(model.parameters()).device
    found = np.zeros((len(rows), model.width))
    for batch in TokenBudgetSampler([len(ids) for ids in rows.input_ids], 4096, seed=None):
        inputs = collate([{"input_ids": rows.input_ids[row]} for row in batch])
        found[batch] = model.embed(inputs["input_ids"].to(device), inputs["attention_mask"].to(device)).cpu().numpy()
    return found

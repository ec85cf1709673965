"""R-Drop: two passes with other dropout must agree (Liang et al. 2021, arXiv 2106.14448)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.tasks.heads import HeadSpec
from engine.tuning.objective import Inputs, Objective, share


def objective(weight: float) -> Objective:
    """Mean loss of the two passes plus `weight` times the divergence between their answers."""

    def loss(model: Any, inputs: Inputs) -> Tensor:
        first, second = model(**inputs), model(**inputs)
        total: Tensor = (first["loss"] + second["loss"]) / 2
        for head in getattr(model, "module", model).specs:
            name = f"logits_{head.name}"
            apart = divergence(head, first[name], second[name], inputs["attention_mask"])
            total = total + weight * share(inputs) * apart
        return total

    return loss


def divergence(head: HeadSpec, left: Tensor, right: Tensor, mask: Tensor) -> Tensor:
    """Symmetric Kullback-Leibler divergence of two answers, the mean over rows (or tokens)."""
    if head.kind == "regression":
        return ((left - right) ** 2).mean()
    if head.kind in ("multi", "relevance"):
        p, q = torch.sigmoid(left), torch.sigmoid(right)
        return ((p - q) * (left - right)).sum(-1).mean() / 2  # sum of both directions of two Bernoullis, halved
    both = [F.log_softmax(values, -1) for values in (left, right)]
    each = ((both[0].exp() - both[1].exp()) * (both[0] - both[1])).sum(-1) / 2
    if each.ndim == 2:
        return (each * mask).sum() / mask.sum()
    return each.mean()

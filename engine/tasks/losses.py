"""Losses of the heads: sums over the labelled rows (or tokens), and the weights that the sums are divided by."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.tasks.encoding import MISSING
from engine.tasks.heads import HeadSpec


@dataclass(frozen=True)
class Options:
    label_smoothing: float = 0.0
    class_weights: Tensor | None = None
    """Weight of each label, shape (labels,)."""
    queries: Tensor | None = None
    """Query of each row, shape (rows,): ranked listwise, a query at a time."""


def summed(head: HeadSpec, logits: Tensor, labels: Tensor, mask: Tensor, options: Options) -> Tensor:
    """Sum of the head's loss over what is labelled.

    Args:
        logits: (rows, width), or (rows, tokens, width) for a head over tokens.
        mask: attention mask, shape (rows, tokens).
    """
    match head.kind:
        case "single" | "tags":
            return F.cross_entropy(
                logits.reshape(-1, logits.shape[-1]),
                labels.reshape(-1),
                weight=options.class_weights,
                ignore_index=MISSING,
                label_smoothing=options.label_smoothing,
                reduction="sum",
            )
        case "multi":
            present = labels[:, 0] != MISSING
            targets = labels * (1 - options.label_smoothing) + options.label_smoothing / 2
            # Summed over labels: the mean over many labels, most of them absent, would starve the encoder of this head.
            losses = F.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(-1)
            return torch.where(present, losses, 0.0).sum()
        case "regression":
            present = torch.isfinite(labels)
            return torch.where(present, (logits[:, 0] - labels.nan_to_num()) ** 2, 0.0).sum()
        case "relevance":
            return _relevance(logits[:, 0], labels, options)
        case "span":
            open_ = logits.masked_fill(mask.unsqueeze(-1) == 0, torch.finfo(logits.dtype).min)
            sides = [
                F.cross_entropy(open_[..., k], labels[:, k], ignore_index=MISSING, reduction="sum") for k in (0, 1)
            ]
            return (sides[0] + sides[1]) / 2
    raise ValueError(head.kind)


def weight(head: HeadSpec, labels: Tensor, options: Options) -> Tensor:
    """What the sum is divided by to be a mean: labelled rows, tokens or queries, class weights counted in."""
    match head.kind:
        case "single" | "tags":
            present = labels[labels != MISSING]
            if options.class_weights is not None:
                return options.class_weights[present].sum()
            return torch.tensor(float(present.numel()), device=labels.device)
        case "multi" | "span":
            return (labels[:, 0] != MISSING).sum().float()
        case "relevance" if options.queries is not None:
            fit = torch.where(torch.isfinite(labels), labels, 0.0) > 0
            return torch.tensor(float(len(torch.unique(options.queries[fit]))), device=labels.device)
        case _:
            return torch.isfinite(labels).sum().float()


def _relevance(scores: Tensor, labels: Tensor, options: Options) -> Tensor:
    present = torch.isfinite(labels)
    if options.queries is None:
        losses = F.binary_cross_entropy_with_logits(scores, labels.nan_to_num(), reduction="none")
        return torch.where(present, losses, 0.0).sum()
    # ListNet's top-one cross entropy (Cao et al. 2007) over the labelled texts of each query.
    total = scores.sum() * 0.0
    for query in torch.unique(options.queries[present]):
        mine = present & (options.queries == query)
        share = labels[mine]
        if share.sum() > 0:
            total = total - (share / share.sum() * F.log_softmax(scores[mine], 0)).sum()
    return total

"""Adversarial training: the loss is also taken where a small change of the word embeddings makes it large.

FGM (Miyato et al. 2017, arXiv 1605.07725): one step along the gradient. PGD (Madry et al. 2018, arXiv 1706.06083):
several smaller steps, kept within the ball. FreeLB (Zhu et al. 2020, arXiv 1909.11764): as PGD from a random start, the
losses of all steps learnt from.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from engine.recipe import Adversarial
from engine.tuning.objective import Inputs, Objective


def objective(settings: Adversarial) -> Objective:
    """Clean loss plus adversarial loss, by the recipe's method."""
    return {"fgm": _fgm, "pgd": _pgd, "freelb": _freelb}[settings.method](settings)


def _fgm(settings: Adversarial) -> Objective:
    def loss(model: Any, inputs: Inputs) -> Tensor:
        words, rest, unit = _embedded(model, inputs)
        clean = _loss(model, words, rest)
        change = _direction(clean, words, rest) * settings.epsilon * unit
        return (clean + _loss(model, words + change, rest)) / 2

    return loss


def _pgd(settings: Adversarial) -> Objective:
    def loss(model: Any, inputs: Inputs) -> Tensor:
        words, rest, unit = _embedded(model, inputs)
        clean = _loss(model, words, rest)
        radius = settings.epsilon * unit
        change = _direction(clean, words, rest) * radius / settings.steps
        for _ in range(settings.steps - 1):
            place = (words + change).detach().requires_grad_()
            step = _direction(_loss(model, place, rest), place, rest)
            change = _within(change + step * radius / settings.steps, radius)
        return (clean + _loss(model, words + change, rest)) / 2

    return loss


def _freelb(settings: Adversarial) -> Objective:
    def loss(model: Any, inputs: Inputs) -> Tensor:
        words, rest, unit = _embedded(model, inputs)
        radius = settings.epsilon * unit
        mask = rest["attention_mask"].unsqueeze(-1)
        numbers = (mask.sum(1, keepdim=True) * words.shape[-1]).clamp(min=1)
        change = ((torch.rand_like(words) * 2 - 1) * mask * radius / numbers.sqrt()).detach()
        total = words.new_zeros(())
        for _ in range(settings.steps):
            place = words + change
            value = _loss(model, place, rest)
            step = _direction(value, place, rest)
            change = _within(change + step * radius / settings.steps, radius)
            total = total + value
        return total / settings.steps

    return loss


def _embedded(model: Any, inputs: Inputs) -> tuple[Tensor, Inputs, Tensor]:
    """Word embeddings of the batch, its other inputs, and the mean length of a word's embedding in each text, shape
    (rows, 1, 1): what stands beside a text, padding too, does not change it."""
    bare = getattr(model, "module", model)
    words = bare.encoder.get_input_embeddings()(inputs["input_ids"])
    if not words.requires_grad:  # frozen embeddings: the change is still sought in them
        words = words.detach().requires_grad_()
    rest = {name: value for name, value in inputs.items() if name != "input_ids"}
    mask = inputs["attention_mask"]
    unit = (words.detach().norm(dim=-1) * mask).sum(1) / mask.sum(1).clamp(min=1)
    return words, {**rest, "input_ids": None}, unit.view(-1, 1, 1)  # type: ignore[dict-item]


def _loss(model: Any, words: Tensor, rest: Inputs) -> Tensor:
    value: Tensor = model(inputs_embeds=words, **rest)["loss"]
    return value


def _direction(loss: Tensor, words: Tensor, rest: Inputs) -> Tensor:
    """Unit step a text towards a larger loss."""
    (gradient,) = torch.autograd.grad(loss, words, retain_graph=True)
    gradient = gradient.float() * rest["attention_mask"].unsqueeze(-1)
    step: Tensor = gradient / gradient.flatten(1).norm(dim=1).clamp(min=1e-12).view(-1, 1, 1)
    return step


def _within(change: Tensor, radius: Tensor) -> Tensor:
    """The change, no longer than `radius` a text."""
    length = change.flatten(1).norm(dim=1).clamp(min=1e-12).view(-1, 1, 1)
    kept: Tensor = change * (radius / length).clamp(max=1.0)
    return kept

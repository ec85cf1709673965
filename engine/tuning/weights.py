"""Weights: which parameters learn, at what rate, and from which epoch on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from torch import nn

from engine.errors import RecipeError
from engine.recipe import Tuning

_AFTER_LAYERS = re.compile(r"(?<!embeddings)\.(norm|final_norm|final_layer_norm|ln_f|lm_head|embed_out)\.")


def fixed(model: Any, tuning: Tuning) -> int | None:
    """How many of the lowest layers the recipe fixes, the embeddings with them: all for method head.

    Raises:
        RecipeError: more layers are to be frozen than there are.
    """
    layers = int(model.encoder.config.num_hidden_layers)
    if tuning.method == "head":
        return layers
    if tuning.freeze_layers is not None and tuning.freeze_layers > layers:
        raise RecipeError(f"tuning.freeze_layers: {tuning.freeze_layers}, but the base has {layers} layers")
    return tuning.freeze_layers


def freeze(model: Any, tuning: Tuning) -> None:
    """Fix what the recipe fixes."""
    layers, below = int(model.encoder.config.num_hidden_layers), fixed(model, tuning)
    if below is None:
        return
    for name, parameter in model.named_parameters():
        above = depth(name, layers)
        if above is not None and above >= layers - below:
            parameter.requires_grad_(False)


def thaw(model: Any, epoch: int) -> None:
    """Gradual unfreezing: the heads alone in epoch 0, the top layer too in epoch 1, and so on."""
    layers = int(model.encoder.config.num_hidden_layers)
    for name, parameter in model.named_parameters():
        above = depth(name, layers)
        if above is not None:
            parameter.requires_grad_(above < epoch)


def groups(model: Any, tuning: Tuning) -> Iterator[dict[str, Any]]:
    """Parameter groups: heads at their own rate, encoder layers at a rate that falls from the top down."""
    layers = int(model.encoder.config.num_hidden_layers)
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        above = depth(name, layers)
        rate = tuning.head_learning_rate if above is None else tuning.learning_rate * tuning.layer_decay**above
        decay = tuning.weight_decay if parameter.ndim > 1 else 0.0
        yield {"params": [parameter], "lr": rate, "weight_decay": decay}


def depth(name: str, layers: int) -> int | None:
    """Layers above the one a parameter belongs to; None for a head. What comes after the layers counts as the last, and
    so does the map to another encoder's vectors, which begins fitted."""
    if name.startswith("vectors."):
        return 0
    if not name.startswith("encoder."):
        return None
    numbers = [int(part) for part in name.split(".") if part.isdigit()]
    if numbers:
        return layers - 1 - numbers[0]
    return 0 if _AFTER_LAYERS.search(name) else layers


def counts(model: nn.Module) -> tuple[int, int]:
    """Trainable parameters, and all."""
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in model.parameters()]
    return sum(size for size, learns in sizes if learns), sum(size for size, _ in sizes)

"""Bottleneck adapters: a narrow layer with a residual after each sub-layer of the encoder (Houlsby et al. 2019).

`adapters` has them too, but pins transformers 4; this is all that is needed of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from engine.errors import RecipeError

FILE = "bottleneck.safetensors"
SUB_LAYERS = "output.dense"
"""End of the names of the layers that close a sub-layer, in BERT, RoBERTa, ELECTRA and their kin."""


class Adapted(nn.Module):
    """A linear layer with a bottleneck behind it: y + up(gelu(down(y))). It begins as the layer alone."""

    def __init__(self, linear: nn.Linear, width: int) -> None:
        super().__init__()
        self.linear = linear
        self.down = nn.Linear(linear.out_features, width)
        self.up = nn.Linear(width, linear.out_features)
        nn.init.normal_(self.down.weight, std=0.02)
        nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.linear(inputs)
        changed: Tensor = outputs + self.up(nn.functional.gelu(self.down(outputs)))
        return changed


def insert(encoder: Any, width: int) -> Any:
    """Put a bottleneck of `width` behind every sub-layer, in place; only they learn.

    Raises:
        RecipeError: the encoder has no layers of such names.
    """
    for parameter in encoder.parameters():
        parameter.requires_grad_(False)
    found = [
        (name, layer)
        for name, layer in encoder.named_modules()
        if isinstance(layer, nn.Linear) and name.endswith(SUB_LAYERS)
    ]
    if not found:
        raise RecipeError("tuning.method adapter: the base names its layers in a way of its own; take lora")
    for name, layer in found:
        _put(encoder, name, Adapted(layer, width))
    return encoder


def is_inserted(encoder: nn.Module) -> bool:
    return any(isinstance(layer, Adapted) for layer in encoder.modules())


def removed(encoder: Any) -> Any:
    """The encoder without its bottlenecks, as a copy."""
    import copy

    plain = copy.deepcopy(encoder)
    for name, layer in list(plain.named_modules()):
        if isinstance(layer, Adapted):
            _put(plain, name, layer.linear)
    return plain


def save(encoder: nn.Module, folder: Path) -> None:
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    learnt = {
        f"{name}.{part}": value.contiguous()
        for name, layer in encoder.named_modules()
        if isinstance(layer, Adapted)
        for part, value in layer.state_dict().items()
        if not part.startswith("linear.")
    }
    save_file(learnt, folder / FILE)


def is_stored(folder: Path) -> bool:
    return (folder / FILE).is_file()


def load(encoder: Any, folder: Path) -> Any:
    """Put the stored bottlenecks into a plain encoder."""
    from safetensors.torch import load_file

    learnt = load_file(folder / FILE)
    width = next(len(value) for name, value in learnt.items() if name.endswith("down.bias"))
    insert(encoder, width).load_state_dict(learnt, strict=False)
    return encoder


def _put(encoder: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(encoder.get_submodule(parent), last, layer)

"""Pruning: the inner neurons of the feed-forward layers that matter least are cut out of a model, or weights zeroed.

A neuron matters as much as the loss would change without it, to first order |activation x gradient| (Michel et al.
2019, arXiv 1905.10650, for heads; Molchanov et al. 2017, arXiv 1611.06440). Every layer loses as many neurons, so that
what is left is the same architecture with a smaller `intermediate_size`, which AutoModel reads and every format runs;
attention heads are let be, since a model with fewer of them of the same width is none that AutoModel could read. The
mean of what a cut neuron gave goes into the bias. Single small weights set to zero (magnitude pruning) save neither
time nor space in dense products: the method is here to be measured.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.base_models import ADAPTER
from engine.data.batches import TokenBudgetSampler
from engine.errors import InputError
from engine.export.derived import Change, Source
from engine.tasks.encoder import EncoderModel
from engine.tasks.encoding import Collator, Rows, encoded
from engine.tasks.headed import model_spec, tokenizer_of

JUDGED_ON = 512
"""Train rows by which neurons are judged."""
MULTIPLE = 8
"""Neurons kept are a multiple of so many: vector registers hold 8 or 16 numbers."""


@dataclass
class FeedForward:
    """One layer's pair of products, and what was seen of the neurons between them."""

    up: nn.Linear
    down: nn.Linear
    importance: Tensor
    """|activation x gradient| of each neuron, summed over the tokens, shape (neurons,)."""
    mean: Tensor
    """Mean activation of each neuron that is more constant than varying, 0 of the others, shape (neurons,)."""


def neurons(source: Source, place: Path, *, keep: float) -> Change:
    """The model with the share `keep` of the feed-forward neurons, the most important ones of each layer.

    Raises:
        InputError: no feed-forward layers can be told apart in it, or it carries an adapter.
    """
    model = copy.deepcopy(source.learned.model)
    if (source.base.folder / ADAPTER).exists():
        raise InputError(f"{source.version}: carries an adapter whose weights fit the whole model; train it with lora")
    layers = judged(model, _sample(source))
    width = layers[0].up.out_features
    left = max(MULTIPLE, round(keep * width / MULTIPLE) * MULTIPLE)
    for layer in layers:
        cut(layer, left)
    config = model.encoder.config
    setattr(config, "intermediate_size" if hasattr(config, "intermediate_size") else "hidden_dim", left)
    told = {"method": "neurons", "neurons": {"before": width, "after": left}}
    return Change(source.base, model, told)


def weights(source: Source, place: Path, *, keep: float) -> Change:
    """The model with all but the share `keep` of each layer's weights zero, the largest staying (magnitude pruning)."""
    model = copy.deepcopy(source.learned.model)
    with torch.no_grad():
        for layer in model.encoder.modules():
            if isinstance(layer, nn.Linear):
                zeroed = int((1 - keep) * layer.weight.numel())
                if zeroed:
                    bound = layer.weight.abs().flatten().kthvalue(zeroed).values
                    layer.weight.mul_(layer.weight.abs() > bound)
    return Change(source.base, model, {"method": "weights", "kept": keep})


def judged(model: EncoderModel, rows: Rows) -> list[FeedForward]:
    """The model's feed-forward layers, their neurons judged on labelled rows."""
    layers = list(_feed_forward(model.encoder))
    squares = {id(layer): torch.zeros_like(layer.mean) for layer in layers}
    mask = torch.zeros(0, 0)

    def watch(layer: FeedForward) -> Any:
        def see(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            active = inputs[0]
            # Padding is left out: in the first layer it excites neurons that words leave cold.
            seen = active.detach()[mask.bool()]
            layer.mean += seen.sum(0)
            squares[id(layer)] += (seen**2).sum(0)

            def judge(gradient: Tensor) -> None:
                layer.importance += (active.detach() * gradient).flatten(0, -2).abs().sum(0)

            active.register_hook(judge)  # type: ignore[no-untyped-call]

        return layer.down.register_forward_pre_hook(see)

    handles = [watch(layer) for layer in layers]
    collate = Collator(rows.pad_token_id)
    model.eval().requires_grad_(True)
    for batch in TokenBudgetSampler(rows.lengths, 2048, seed=None):
        inputs = collate([rows[row] for row in batch])
        mask = inputs["attention_mask"]
        model(**inputs)["loss"].backward()
        model.zero_grad()
    for handle in handles:
        handle.remove()
    for layer in layers:
        layer.mean /= sum(rows.lengths)
        # A neuron of minilm is 25 at [CLS] and 0 elsewhere: its mean in the bias would spoil every word.
        layer.mean[squares[id(layer)] / sum(rows.lengths) > 2 * layer.mean**2] = 0.0
    return layers


@torch.no_grad()
def cut(layer: FeedForward, left: int) -> None:
    """Keep the `left` most important neurons of the layer, in place; the others' mean goes into the bias."""
    order = layer.importance.argsort(descending=True)
    kept, gone = order[:left].sort().values, order[left:]
    layer.down.bias.add_(layer.down.weight[:, gone] @ layer.mean[gone])
    layer.down.weight = nn.Parameter(layer.down.weight[:, kept].clone())
    layer.up.weight = nn.Parameter(layer.up.weight[kept].clone())
    layer.up.bias = nn.Parameter(layer.up.bias[kept].clone())
    layer.up.out_features = layer.down.in_features = left


def _feed_forward(encoder: Any) -> Iterator[FeedForward]:
    """Of every numbered block, the product into its inner neurons and the one out of them."""
    config = encoder.config
    inner = int(getattr(config, "intermediate_size", 0) or getattr(config, "hidden_dim", 0))
    blocks: dict[str, list[nn.Linear]] = {}
    for name, layer in encoder.named_modules():
        if isinstance(layer, nn.Linear) and inner in (layer.in_features, layer.out_features):
            block = name.partition("layer.")[2].partition(".")[0]
            blocks.setdefault(block, []).append(layer)
    pairs = [
        pair for pair in blocks.values() if len(pair) == 2 and pair[0].out_features == pair[1].in_features == inner
    ]
    whole = len(pairs) == len(blocks) == config.num_hidden_layers
    if not whole or any(layer.bias is None for pair in pairs for layer in pair):
        raise InputError(f"{config.model_type}: its feed-forward layers cannot be told apart; BERT's and its kin's can")
    for up, down in pairs:
        yield FeedForward(up, down, torch.zeros(inner), torch.zeros(inner))


def _sample(source: Source) -> Rows:
    spec = model_spec(source.recipe, source.base)
    rows = source.parts.train[:: max(1, len(source.parts.train) // JUDGED_ON)][:JUDGED_ON]
    return encoded(rows, tokenizer_of(source.base.folder), spec)

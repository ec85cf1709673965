"""Distillation: a student learns a teacher's softened answers and its sentence vectors, beside the labels.

Softened logits after Hinton et al. 2015 (arXiv 1503.02531); the squared distance of vectors after Sun et al. 2019
(PKD). A student of fewer layers begins as the teacher with layers left out, evenly.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.base_models import BaseModel
from engine.errors import RecipeError
from engine.recipe import Distill, Recipe
from engine.tasks.encoder import EncoderModel, load
from engine.tasks.encoding import Rows
from engine.tasks.heads import HeadSpec, ModelSpec, specs
from engine.tuning.objective import Inputs, Objective, share, untaught


def teacher(recipe: Recipe, base: BaseModel) -> EncoderModel:
    """The stored model that the recipe names as teacher, its weights fixed.

    Raises:
        RecipeError: it answers other heads than the recipe's, or reads other tokens than `base`.
    """
    import transformers

    from engine.store import Store

    assert recipe.tuning.distill is not None
    named = recipe.tuning.distill.teacher
    folder = Path(named) if Path(named).is_dir() else Store().get(named).folder
    spec = ModelSpec.read(folder / "model")
    theirs, ours = spec.heads, specs(recipe.task)
    if theirs != ours:
        names = ", ".join(head.name for head in theirs)
        raise RecipeError(
            f"tuning.distill.teacher: {named} answers other heads or labels ({names}); take one with the same"
        )
    words, read = (
        transformers.AutoTokenizer.from_pretrained(one).get_vocab() for one in (base.folder, folder / "model")
    )
    if words != read or spec.prefix != base.prefix:
        raise RecipeError(
            f"tuning.distill.teacher: {named} reads texts as other tokens than the base {base.name}; give the student "
            "the base that the teacher was tuned from"
        )
    return load(folder / "model").requires_grad_(False)


def student(recipe: Recipe, taught: EncoderModel, untrained: EncoderModel) -> EncoderModel:
    """What learns: `untrained`, or with `distill.layers` the teacher with so many of its layers, evenly spaced.

    Raises:
        RecipeError: the teacher has fewer layers, or its encoder's layers cannot be told apart; or vectors of another
            width are to be learnt.
    """
    assert recipe.tuning.distill is not None
    wanted = recipe.tuning.distill.layers
    if wanted is None:
        if recipe.tuning.distill.vectors and taught.width != untrained.width:
            raise RecipeError(
                f"tuning.distill.vectors: the teacher's have {taught.width} numbers, the student's {untrained.width}; "
                "set it to 0"
            )
        return untrained
    import copy

    encoder = copy.deepcopy(taught.encoder).requires_grad_(True)
    untrained.encoder = keep_layers(encoder, wanted)
    untrained.heads.load_state_dict(taught.heads.state_dict())
    return untrained


def keep_layers(encoder: Any, wanted: int) -> Any:
    """The encoder with `wanted` of its layers, evenly spaced from the last down, in place.

    Raises:
        RecipeError: it has fewer layers, or they cannot be told apart.
    """
    inner: Any = getattr(encoder, "encoder", None)
    layers = getattr(inner, "layer", None)
    if layers is None:
        raise RecipeError(
            f"tuning.distill.layers: the layers of a {encoder.config.model_type} encoder are not known; leave it out"
        )
    have = len(layers)
    if wanted > have:
        raise RecipeError(f"tuning.distill.layers: {wanted}, but the teacher has {have} layers")
    chosen = sorted(have - 1 - round(place * have / wanted) for place in range(wanted))
    inner.layer = torch.nn.ModuleList([layers[number] for number in chosen])
    encoder.config.num_hidden_layers = wanted
    return encoder


@torch.inference_mode()
def lessons(taught: EncoderModel, rows: Rows, batch_tokens: int = 4096) -> dict[str, Tensor]:
    """The teacher's logits a head and its vectors for every row, computed once."""
    from engine.data.batches import TokenBudgetSampler
    from engine.tasks.encoding import Collator

    taught.eval()
    device = next(taught.parameters()).device
    found: dict[str, list[Any]] = {}
    collate = Collator(rows.pad_token_id)
    for batch in TokenBudgetSampler(rows.lengths, batch_tokens, seed=None):
        inputs = collate([{"input_ids": rows.input_ids[row]} for row in batch])
        for name, values in taught(**{key: value.to(device) for key, value in inputs.items()}).items():
            place = found.setdefault(name, [None] * len(rows))
            for row, value in zip(batch, values.cpu(), strict=True):
                place[row] = value
    return {name: torch.stack(values) for name, values in found.items()}


def objective(settings: Distill) -> Objective:
    """The student's loss, where a batch carries the teacher's answers as `taught_<head>` and `taught_vector`."""

    def loss(model: Any, inputs: Inputs) -> Tensor:
        outputs = model(**untaught(inputs))
        taught: Tensor | float = 0.0
        for head in getattr(model, "module", model).specs:
            name = f"logits_{head.name}"
            taught = taught + settings.weight * softened(
                head, outputs[name], inputs[f"taught_{name}"], settings.temperature
            )
        if settings.vectors:
            taught = taught + settings.vectors * F.mse_loss(outputs["vector"].float(), inputs["taught_vector"])
        total: Tensor = (1 - settings.weight) * outputs["loss"] + share(inputs) * taught
        return total

    return loss


def softened(head: HeadSpec, logits: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """Cross entropy with the teacher's softened answers less their own entropy, times the temperature squared."""
    if head.multi_label:
        target = torch.sigmoid(taught / temperature)
        return F.binary_cross_entropy_with_logits(logits / temperature, target) * temperature**2
    return (
        F.kl_div(
            F.log_softmax(logits / temperature, -1), F.log_softmax(taught / temperature, -1),
            log_target=True, reduction="batchmean",
        ) * temperature**2
    )  # fmt: skip

"""Extension: a stored model learns new labels and keeps its old ones (class-incremental learning).

It begins as it is, each new label's logit along that label's mean vector (imprinted weights; Qi et al. 2018, arXiv
1712.07136). It replays some rows of each old label, and is held to what it said of the old labels (learning without
forgetting; Li & Hoiem 2016, arXiv 1606.09282).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.data.rows import Row
from engine.errors import RecipeError
from engine.recipe import Extend, Recipe
from engine.tasks.encoder import EncoderModel, load
from engine.tasks.encoding import Rows
from engine.tasks.heads import FILE, ModelSpec, specs
from engine.tuning import distill, probe
from engine.tuning.objective import Inputs, Objective, share, untaught


@dataclass(frozen=True)
class Before:
    """The model that is extended."""

    folder: Path
    head: str
    old: tuple[int, ...]
    """Numbers of its labels among the recipe's, in its own order."""
    labels: tuple[str, ...]


def before(recipe: Recipe, folder: Path) -> Before:
    """The stored model in the base's folder.

    Raises:
        RecipeError: the base is no stored model with that head, or it has labels that the recipe lacks or no fewer.
    """
    (ours,) = specs(recipe.task)
    if not (folder / FILE).exists():
        raise RecipeError(f"tuning.extend: {recipe.base} has no labels yet; give a stored model as base: store:NAME")
    heads = {head.name: head for head in ModelSpec.read(folder).heads}
    if ours.name not in heads or heads[ours.name].kind != ours.kind:
        raise RecipeError(f"tuning.extend: {recipe.base} has no such head as {ours.name}; it has {', '.join(heads)}")
    theirs = heads[ours.name].labels
    if gone := [label for label in theirs if label not in ours.labels]:
        raise RecipeError(f"tuning.extend: {recipe.base} knows {', '.join(gone)}, which the recipe lacks; add them")
    if len(theirs) == len(ours.labels):
        raise RecipeError(f"tuning.extend: {recipe.base} knows all of the recipe's labels; leave tuning.extend out")
    return Before(folder, ours.name, tuple(ours.labels.index(label) for label in theirs), theirs)


def replayed(known: Before, rows: Sequence[Row], count: int, *, seed: int) -> list[Row]:
    """All rows of the new labels, and of each old label `count` at most, drawn by the seed."""
    random = np.random.default_rng(seed)
    left = dict.fromkeys(known.labels, count)
    chosen = set()
    for number in random.permutation(len(rows)).tolist():
        label = rows[number].labels.get(known.head)
        if left.get(label, 1) > 0:
            chosen.add(number)
            if label in left:
                left[label] -= 1
    return [rows[number] for number in sorted(chosen)]


def begin(known: Before, model: EncoderModel, train: Rows) -> None:
    """Give `model`, on the old one's encoder, the old logits and the new; ask the old one about the rows."""
    taught = load(known.folder).requires_grad_(False)
    train.taught |= {f"logits_{known.head}": distill.lessons(taught, train)[f"logits_{known.head}"]}
    theirs, ours = taught.heads.get_submodule(known.head), model.heads.get_submodule(known.head)
    vectors = torch.from_numpy(probe.embedded(model, train)).float()
    centre, labels = vectors.mean(0), train.targets[known.head]
    old, place = theirs.get_parameter("weight"), list(known.old)
    with torch.no_grad():
        weight, bias = ours.get_parameter("weight"), ours.get_parameter("bias")
        weight[place], bias[place] = old, theirs.get_parameter("bias")
        usual = (old @ centre + theirs.get_parameter("bias")).mean()  # an old label's logit, before a row like most
        for new in sorted(set(range(len(weight))) - set(place)):
            if (labels == new).any():
                apart = vectors[labels == new].mean(0) - centre
                weight[new] = apart / apart.norm().clamp(min=1e-9) * old.norm(dim=1).mean()
                bias[new] = usual - weight[new] @ centre


def objective(settings: Extend, known: Before) -> Objective:
    """The loss on all labels, and the divergence from the old model's softened answers over the old ones."""

    def loss(model: Any, inputs: Inputs) -> Tensor:
        outputs = model(**untaught(inputs))
        (head,) = getattr(model, "module", model).specs
        name = f"logits_{head.name}"
        held = distill.softened(head, outputs[name][:, list(known.old)], inputs[f"taught_{name}"], settings.temperature)
        total: Tensor = outputs["loss"] + settings.weight * share(inputs) * held
        return total

    return loss

"""Zero shots: a text's label is the one whose description lies nearest; nothing is trained (Yin et al. 2019)."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from engine.recipe import Classify, Recipe
from engine.tasks.encoder import EncoderModel
from engine.tasks.encoding import Rows
from engine.tuning import probe


def set_head(recipe: Recipe, model: EncoderModel, tokenizer: Any) -> None:
    """Set the head of `model` to the vectors of its labels' descriptions (of their names, where none is given)."""
    assert isinstance(recipe.task, Classify)
    ((name, head),) = recipe.task.heads.items()
    texts = [head.descriptions.get(label, label.replace("_", " ")) for label in head.labels]
    ids = tokenizer(texts, truncation=True, max_length=recipe.tuning.max_length)["input_ids"]
    vectors = torch.from_numpy(probe.embedded(model, Rows(ids, {}, tokenizer.pad_token_id or 0))).float()
    layer = model.heads.get_submodule(name)
    with torch.no_grad():
        layer.get_parameter("weight").copy_(F.normalize(vectors, dim=-1))
        layer.get_parameter("bias").zero_()

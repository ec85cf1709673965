"""Onward: a stored model's heads go on from where they are, as its encoder does."""

from __future__ import annotations

from engine.base_models import BaseModel
from engine.errors import RecipeError
from engine.tasks.encoder import EncoderModel, load
from engine.tasks.heads import FILE, ModelSpec


def take_heads(base: BaseModel, model: EncoderModel) -> None:
    """Give `model` the heads of the base.

    Raises:
        RecipeError: the base is no stored model with the same heads.
    """
    theirs = ModelSpec.read(base.folder).heads if (base.folder / FILE).exists() else ()
    if tuple(model.specs) != theirs:
        told = "; ".join(f"{head.name}: {', '.join(head.labels) or head.kind}" for head in theirs) or "none"
        raise RecipeError(
            f"tuning.head_start: stored, but the heads of {base.name} are other than the recipe's ({told}); set it to "
            "probe"
        )
    model.heads.load_state_dict(load(base.folder).heads.state_dict())

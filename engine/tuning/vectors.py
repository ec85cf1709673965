"""Vectors: a model repeats the sentence vectors of another encoder, so that one pass gives both.

Tuning draws texts of one label together, and what tells them apart is lost with it. So the model is held, while it
learns its labels, to the other encoder's vector of each row (distillation; Hinton et al. 2015, arXiv 1503.02531): a
linear map of the first token's state gives it, while labels are read from the mean over the tokens, so that neither is
in the other's way. The map is the ridge regression over the train rows, of the untouched encoder at first, of the tuned
one in the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine import base_models
from engine.data.rows import Row
from engine.recipe import Classify, Recipe
from engine.tasks import bi_encoder
from engine.tasks.encoder import EncoderModel, TextEncoder, load_encoder
from engine.tasks.encoding import Rows
from engine.tasks.heads import ModelSpec
from engine.tasks.retrieval import unit
from engine.tuning import probe

PENALTY = 1.0
"""Of squared weights, beside the squared error over all rows, with features of unit mean square."""
MOST = 20_000
"""Rows that the map is fitted on, drawn evenly."""
PAIRED, ONE_IN, STEPS = 2_000, 10_000, 12
"""Rows whose pairs tell how near unlike texts are; one pair in so many is nearest; halvings of the share."""


def aims(recipe: Recipe, rows: Sequence[Row], spec: ModelSpec) -> NDArray[np.float32] | None:
    """Unit vectors of the rows by the encoder that the recipe names, shape (rows, width); None where it names none."""
    import transformers

    if not (isinstance(recipe.task, Classify) and recipe.task.vectors):
        return None
    base = base_models.resolve(recipe.task.vectors.of)
    tokenizer = transformers.AutoTokenizer.from_pretrained(base.folder)
    ids = bi_encoder.tokens([row.text for row in rows], base.prefix, tokenizer, spec)
    encoder = TextEncoder(load_encoder(base.folder))
    return bi_encoder.vectors(encoder, ids, tokenizer.pad_token_id or 0).astype(np.float32)


def fit(model: EncoderModel, rows: Rows, wanted: NDArray[np.float32]) -> None:
    """Set the model's map to the regression of the wanted vectors on its encoder as it stands."""
    from sklearn.linear_model import Ridge

    chosen = range(0, len(rows), -(-len(rows) // MOST))
    features = probe.embedded(_First(model.encoder), rows.taken(chosen))
    scale = float(np.sqrt((features**2).mean()))
    found = Ridge(alpha=PENALTY).fit(features / scale, wanted[chosen])
    layer = nn.Linear(features.shape[1], wanted.shape[1], device=next(model.parameters()).device)
    shift = _shared(found.predict(features / scale), wanted[chosen])
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(found.coef_ / scale))
        layer.bias.copy_(torch.from_numpy(found.intercept_ - shift))
    model.vectors = layer


def _shared(given: NDArray[np.floating[Any]], wanted: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """What to take from all vectors so that unlike texts are no nearer to each other than they were.

    A regression says less of each text than its target does, and what all texts share weighs more: cosines rise, and a
    threshold on them would let more through. So a share of the mean is taken out (as all of it is by Mu & Viswanath
    2018, arXiv 1702.01417): the least with which the nearest pairs are as near as they should be.
    """
    few = slice(None, None, -(-len(given) // PAIRED))
    aim, mean, low, high = _nearest(wanted[few]), given.mean(0), 0.0, 1.0
    for _ in range(STEPS):
        share = (low + high) / 2
        low, high = (share, high) if _nearest(given[few] - share * mean) > aim else (low, share)
    shared: NDArray[np.floating[Any]] = (high if _nearest(given[few]) > aim else 0.0) * mean
    return shared


def _nearest(vectors: NDArray[np.floating[Any]]) -> float:
    """Cosine that one pair in so many exceeds."""
    found = unit(np.asarray(vectors, dtype=np.float64))
    return float(np.quantile((found @ found.T)[np.triu_indices(len(found), 1)], 1 - 1 / ONE_IN))


class _First(TextEncoder):
    """Gives the first token's state in the place of the mean."""

    def embed(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.states(input_ids, attention_mask)[:, 0]

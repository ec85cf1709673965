"""Sequence: a recurrent reader of what a user did, over items known by their texts and by themselves.

An item's vector is a projection of its text's plus one of its own, which is dropped at times while it learns, so that
the text alone serves where an item is new (as DropoutNet; Volkovs et al. 2017). The reader is a GRU, as in GRU4Rec
(Hidasi et al. 2016, arXiv 1511.06939).
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import nn

from apps.recommender import next_item, settings
from apps.recommender.next_item import Reader
from apps.recommender.past import Floats, Past
from apps.recommender.text import DECAY, RATE, Step

if TYPE_CHECKING:
    from torch import Tensor

FILE = "sequence.safetensors"


class SequenceModel(nn.Module):
    """As `next_item.NextItem`.

    Args:
        texts: vectors of the items' texts, shape (items, width of a text); they stay as they are.
        width: of users and items.
        dropout: of what is read; `forget`: how often an item's own vector is left out.
    """

    def __init__(self, texts: Tensor, width: int = 128, *, dropout: float = 0.3, forget: float = 0.2) -> None:
        super().__init__()
        self.register_buffer("texts", texts, persistent=False)
        self.own = nn.Embedding(len(texts), width)
        nn.init.normal_(self.own.weight, std=0.02)
        self.project = nn.Linear(texts.shape[1], width)
        self.reader = nn.GRU(width, width, batch_first=True)
        self.leave = nn.Linear(2 * width, width)
        self.bias = nn.Embedding(len(texts), 1)
        nn.init.zeros_(self.bias.weight)
        self.text_bias = nn.Linear(texts.shape[1], 1)
        self.dropout = nn.Dropout(dropout)
        self.forget = forget

    def vectors(self, numbers: Tensor) -> Tensor:
        own = self.own(numbers)
        if self.training and self.forget:
            own = own * (torch.rand(own.shape[:-1]) >= self.forget)[..., None]
        return cast("Tensor", self.project(cast("Tensor", self.texts)[numbers]) + own)

    def users(self, items: Tensor) -> Tensor:
        read = self.dropout(self.vectors(items.clamp(min=0)))
        state, _ = self.reader(read)
        return cast("Tensor", self.leave(self.dropout(torch.cat([state, read], dim=-1))))

    def items(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        biases = self.bias(numbers)[..., 0] + self.text_bias(cast("Tensor", self.texts)[numbers])[..., 0]
        return self.vectors(numbers), biases


def fit(past: Past, texts: Floats, settings: settings.Sequence, *, seed: int, step: Step) -> Reader:
    """Learn from histories what users take next.

    Args:
        texts: vectors of the items' texts, shape (items, width of a text).
    """
    torch.manual_seed(seed)
    module = SequenceModel(torch.from_numpy(texts.copy()), settings.width)
    next_item.train(
        module, past, len(texts), epochs=settings.epochs, learning_rate=RATE, weight_decay=DECAY, seed=seed, step=step
    )
    return Reader.of(module, len(texts))


def grown(reader: Reader, texts: Floats) -> Reader:
    """With the texts of a catalogue that was added to; a new item has no vector of its own, but its text's."""
    module, more = copy.deepcopy(reader.module), len(texts) - len(reader.vectors)
    module.texts = torch.from_numpy(texts.copy())
    for name in ("own", "bias"):
        weight = getattr(module, name).weight.detach()
        weight = torch.cat([weight, torch.zeros(more, weight.shape[1])])
        setattr(module, name, nn.Embedding.from_pretrained(weight, freeze=False))  # type: ignore[no-untyped-call]
    return Reader.of(module, len(texts), reader.reference)


def save(reader: Reader, folder: Path) -> None:
    from safetensors.torch import save_file

    save_file(reader.module.state_dict(), folder / FILE)
    np.save(folder / "sequence_reference.npy", reader.reference)


def load(folder: Path, texts: Floats) -> Reader | None:
    """The stored model; None where none was trained."""
    from safetensors.torch import load_file

    if not (folder / FILE).exists():
        return None
    state = load_file(folder / FILE)
    module = SequenceModel(torch.from_numpy(texts.copy()), state["own.weight"].shape[1])
    module.load_state_dict(state)
    return Reader.of(module, len(texts), np.load(folder / "sequence_reference.npy"))

"""Text: what items' texts say to a user; it needs nothing of an item but its text, and so serves new ones at once.

item text --item encoder--> vector --projection--> item of the user encoder
history   --vectors, attention with recency------> user of the user encoder
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from apps.recommender import next_item, settings
from apps.recommender.events import History
from apps.recommender.items import Items
from apps.recommender.next_item import Reader
from apps.recommender.past import Floats, Ints, Met, Past
from apps.recommender.vectors import Vectors
from engine import Embedder

if TYPE_CHECKING:
    from torch import Tensor

Step = Callable[[int, int, str], None]
NAMES = ("last", "recent", "max", "user")
RATE, DECAY = 3e-3, 1e-2
CHUNK = 65536
"""Cosines that are taken at once."""


class UserEncoder(nn.Module):
    """Attentive pooling with recency over the texts of a history; as `next_item.NextItem`.

    The weight of a past item is a softmax over what its text says for itself plus a learned score of its age. A
    user's vector is the weighted mean of the past items, its words turned towards what comes next, beside the last
    item's own. An item's bias is read from its text too: some texts are liked by everybody.

    Args:
        texts: vectors of the items' texts, shape (items, width of a text); they stay as they are.
    """

    def __init__(self, texts: Tensor, width: int = 96, *, longest: int = 32, dropout: float = 0.2) -> None:
        super().__init__()
        self.register_buffer("texts", texts, persistent=False)
        self.read = nn.Linear(texts.shape[1], width)
        self.turn = nn.Linear(2 * width, width)
        self.project = nn.Linear(texts.shape[1], width)
        self.deep = nn.Sequential(nn.Linear(texts.shape[1], width), nn.GELU(), nn.Linear(width, width + 1))
        self.ask = nn.Linear(width, 1)
        self.recency = nn.Parameter(-0.2 * torch.arange(longest, dtype=torch.float32))
        self.dropout = nn.Dropout(dropout)

    def users(self, items: Tensor) -> Tensor:
        read, weights = self._weighed(items)
        return cast("Tensor", self.turn(torch.cat([weights @ read, read], dim=-1)))

    def attention(self, items: Tensor) -> Tensor:
        """How much each past item counts at each place, shape (histories, length, length); rows sum to 1."""
        return self._weighed(items)[1]

    def parts(self, items: Tensor) -> Tensor:
        """What each item of one history, shape (length,), adds to the user's vector, shape (length, width); with
        `turn.bias` they make it."""
        read, weights = self._weighed(items[None])
        pooled, last = self.turn.weight.chunk(2, dim=1)
        found = (weights[0, -1][:, None] * read[0]) @ pooled.T
        found[-1] += last @ read[0, -1]
        return found

    def _weighed(self, items: Tensor) -> tuple[Tensor, Tensor]:
        read = torch.tanh(self.read(self.dropout(cast("Tensor", self.texts)[items.clamp(min=0)])))
        places = torch.arange(items.shape[1])
        ages = places[:, None] - places[None, :]
        seen = (ages >= 0) & (items >= 0)[:, None, :]
        own = self.ask(read)[..., 0][:, None, :] + self.recency[ages.clamp(0, len(self.recency) - 1)]
        weights = own.masked_fill(~seen, torch.finfo(own.dtype).min).softmax(dim=-1)
        return read, weights

    def items(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        texts = self.dropout(cast("Tensor", self.texts)[numbers])
        deep = self.deep(texts)
        return cast("Tensor", self.project(texts) + deep[..., :-1]), deep[..., -1]


@dataclass(frozen=True)
class TextModel:
    """An item encoder's vectors and what reads them for a user.

    Attributes:
        encoder: a base, or "store:NAME@NUMBER".
        vectors: of the items' texts, shape (items, width).
        reader: the user encoder.
    """

    encoder: str
    vectors: Floats
    reader: Reader

    @classmethod
    def fit(
        cls, past: Past, texts: Sequence[str], encoder: str, settings: settings.Text, *, seed: int, step: Step
    ) -> TextModel:
        """Read the texts with an item encoder, and learn from histories what users take next."""
        vectors = Vectors(_embedder(encoder)).of(texts)
        torch.manual_seed(seed)
        module = UserEncoder(torch.from_numpy(vectors.copy()), settings.width)
        next_item.train(
            module,
            past,
            len(texts),
            epochs=settings.epochs,
            learning_rate=RATE,
            weight_decay=DECAY,
            seed=seed,
            step=step,
        )
        return cls(encoder, vectors, Reader.of(module, len(texts)))

    def features(self, past: Past, owners: NDArray[Any], candidates: Ints, met: Met, *, batch: int = 1) -> Floats:
        """What `NAMES` says of each candidate, shape (candidates, names)."""
        alike = np.empty(len(met.rows), np.float32)
        for first in range(0, len(alike), CHUNK):
            part = slice(first, first + CHUNK)
            alike[part] = np.einsum("ij,ij->i", self.vectors[met.before[part]], self.vectors[met.candidates[part]])
        last, recent = (met.ages == 0).astype(np.float32), (0.8**met.ages).astype(np.float32)
        weighed = met.total(alike, recent) / np.maximum(met.total(recent), 1e-6)
        user = self.reader.scores(past, owners, candidates, batch=batch)
        return np.column_stack([met.total(alike, last), weighed, met.largest(alike), user])

    def score(self, history: History, item_ids: Sequence[str], items: Items) -> Floats:
        """What the texts alone say of each item for a user, shape (items,)."""
        candidates = items.numbers(item_ids)
        return self.reader.scores(Past.of([history], items), np.zeros(len(candidates), np.int64), candidates)

    def attention(self, history: Past) -> Floats:
        """How much each event of one history counts, oldest first; they sum to 1."""
        table = torch.from_numpy(history.padded(next_item.LONGEST).astype(np.int64))[:, : len(history.items)]
        with torch.inference_mode():
            return cast("Floats", self.reader.module.attention(table)[0, -1].numpy())

    def parts(self, history: Past, candidates: Ints) -> tuple[Ints, Floats]:
        """What each of the last items of one history, oldest first, adds to what the texts say of each candidate.

        Shapes (events,) and (events + 1, candidates): last, what no past item says. The column sums are the scores.
        """
        recent = history.last(next_item.LONGEST)
        _, usual = self.reader.users(history)
        vectors, module = self.reader.vectors[candidates], self.reader.module
        with torch.inference_mode():
            rest = vectors @ module.turn.bias.numpy() + self.reader.biases[candidates] - usual[0]
            if not len(recent.items):  # of an empty history the user's vector is zero
                return recent.items, (self.reader.biases[candidates] - usual[0])[None]
            own = module.parts(torch.from_numpy(recent.items.astype(np.int64))).numpy()
        return recent.items, np.vstack([own @ vectors.T, rest])

    def grown(self, texts: Sequence[str]) -> TextModel:
        """With the texts of a catalogue that was added to or changed."""
        vectors = Vectors(_embedder(self.encoder)).of(texts)
        module = copy.deepcopy(self.reader.module)
        module.texts = torch.from_numpy(vectors.copy())
        return TextModel(self.encoder, vectors, Reader.of(module, len(texts), self.reader.reference))

    def save(self, folder: Path) -> None:
        from safetensors.torch import save_file

        np.save(folder / "texts.npy", self.vectors)
        save_file(self.reader.module.state_dict(), folder / "user_encoder.safetensors")
        np.save(folder / "text_reference.npy", self.reader.reference)

    @classmethod
    def load(cls, folder: Path, encoder: str) -> TextModel:
        from safetensors.torch import load_file

        # A plain view: numpy's own class of mapped arrays takes ten times as long to look rows up.
        vectors = np.asarray(np.load(folder / "texts.npy", mmap_mode="r"))
        state = load_file(folder / "user_encoder.safetensors")
        module = UserEncoder(torch.from_numpy(vectors.copy()), len(state["read.bias"]))
        module.load_state_dict(state)
        return cls(encoder, vectors, Reader.of(module, len(vectors), np.load(folder / "text_reference.npy")))


@lru_cache(maxsize=2)
def _embedder(name: str) -> Embedder:
    """An item that is added is to be read at once, and loading an encoder takes a second."""
    return Embedder(name)

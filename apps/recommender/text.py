"""Text: what items' texts say to a user; it needs nothing of an item but its text, and so serves new ones at once.

item text --item encoder--> vector --projection--> item of the user encoder
history   --vectors, attention with recency------> user of the user encoder
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor


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

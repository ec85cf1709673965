"""Bi-encoder: texts that belong together get near vectors, each text read by itself.

The loss is the softmax over the cosines of an anchor with all candidates of its batch, the true one against the rest
(InfoNCE; van den Oord et al. 2018, arXiv 1807.03748; Henderson et al. 2017, arXiv 1705.00652). A candidate that belongs
to the anchor too is not held against it, and each text stands in a batch once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from engine.data.batches import TokenBudgetSampler
from engine.data.rows import Row
from engine.tasks.encoder import TextEncoder, load_encoder
from engine.tasks.encoding import Collator, Rows
from engine.tasks.heads import HeadSpec, ModelSpec
from engine.tasks.kinds import Output
from engine.tasks.retrieval import unit


class BiEncoder(TextEncoder):
    """Encoder -> mean over the tokens -> a vector of length 1.

    Args:
        scale: of the cosines in the softmax, its inverse temperature.
        chunk_tokens: a batch is read in pieces of so many tokens, padding included.
        recompute: keep no activations of a piece but read it again for its gradients: a batch of many pieces takes the
            memory of one, and its gradients are those of the whole (as GradCache; Gao et al. 2021, arXiv 2101.06983).
    """

    def __init__(
        self,
        encoder: Any,
        heads: Sequence[HeadSpec],
        *,
        scale: float = 20.0,
        chunk_tokens: int = 4096,
        recompute: bool = False,
    ) -> None:
        super().__init__(encoder)
        (head,) = self.specs = tuple(heads)
        self.widths = (self.width, *head.widths)
        self.scale = scale
        self.chunk_tokens = chunk_tokens
        self.recompute = recompute

    def forward(
        self,
        input_ids: Tensor | None,
        attention_mask: Tensor,
        inputs_embeds: Tensor | None = None,
        **targets: Tensor,
    ) -> dict[str, Tensor]:
        """The vectors of the texts as `logits_vector`, shape (texts, width); with targets the `loss` instead.

        Args:
            targets: the texts are then anchors, and after them candidates. `partners`: number of each anchor's
                candidate; `belonging`: which other candidates are not held against it, shape (anchors, candidates);
                `items_pairs`: anchors of the whole step (without it, of this batch).
        """
        assert input_ids is not None
        if not targets:
            vectors = self.embed(input_ids, attention_mask)
            return {f"logits_{self.specs[0].name}": F.normalize(vectors.float(), dim=-1)}
        partners = targets["partners"]
        vectors = self._in_pieces(input_ids, attention_mask).float()
        anchors, candidates = vectors[: len(partners)], vectors[len(partners) :]
        with torch.autocast(vectors.device.type, enabled=False):  # cosines in bf16 would lose small differences
            total = self.loss(anchors, candidates, partners, targets["belonging"])
        return {"loss": total / targets.get("items_pairs", len(partners))}

    def loss(self, anchors: Tensor, candidates: Tensor, partners: Tensor, belonging: Tensor) -> Tensor:
        """Sum over the anchors, mean over the full width and the shorter ones (Kusupati et al. 2022)."""
        losses = []
        for width in self.widths:
            left, right = (F.normalize(vectors[:, :width], dim=-1) for vectors in (anchors, candidates))
            logits = (self.scale * left @ right.T).masked_fill(belonging, float("-inf"))
            losses.append(F.cross_entropy(logits, partners, reduction="sum"))
        return torch.stack(losses).mean()

    def items(self, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Anchors of a batch: what its summed loss is divided by."""
        return {"pairs": torch.tensor(float(len(targets["partners"])))}

    def _in_pieces(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """As `embed`, in pieces of texts of like length, so that short texts are not padded to the longest."""
        lengths = attention_mask.sum(1).tolist()
        pieces, order = [], []
        for batch in TokenBudgetSampler(lengths, self.chunk_tokens, seed=None):
            longest = lengths[batch[0]]  # the sampler gives the longest first
            given = input_ids[batch, :longest], attention_mask[batch, :longest]
            if self.recompute:
                pieces.append(checkpoint(self.embed, *given, use_reentrant=False))
            else:
                pieces.append(self.embed(*given))
            order += batch
        return torch.cat(pieces)[np.argsort(order)]


@dataclass
class PairTexts(Rows):
    """Tokenised pairs. `input_ids` are the anchors; each distinct partner is a candidate once."""

    candidates: list[list[int]] = field(default_factory=list)
    partners: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))
    """Number of each row's partner among the candidates."""
    belongs: list[NDArray[np.intp]] = field(default_factory=list)
    """Numbers of all candidates that belong to each row's anchor; its partner is one of them."""
    negatives: list[NDArray[np.intp]] = field(default_factory=list)
    """Numbers of each row's mined negatives; empty where none were mined."""

    @property
    def lengths(self) -> list[int]:
        return [
            len(ids) + sum(len(self.candidates[number]) for number in self._own(row))
            for row, ids in enumerate(self.input_ids)
        ]

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {"row": row}

    def collator(self) -> Any:
        return self._batch

    def _own(self, row: int) -> list[int]:
        mined = self.negatives[row].tolist() if self.negatives else []
        return [int(self.partners[row]), *mined]

    def _batch(self, chosen: list[dict[str, Any]]) -> dict[str, Tensor]:
        """Anchors of the rows, then the distinct candidates that any of them brings."""
        rows = [item["row"] for item in chosen]
        numbers = list(dict.fromkeys(number for row in rows for number in self._own(row)))
        place = {number: index for index, number in enumerate(numbers)}
        belonging = torch.zeros((len(rows), len(numbers)), dtype=torch.bool)
        for index, row in enumerate(rows):
            belonging[index] = torch.from_numpy(np.isin(numbers, self.belongs[row]))
            belonging[index, place[int(self.partners[row])]] = False
        texts = [self.input_ids[row] for row in rows] + [self.candidates[number] for number in numbers]
        padded = Collator(self.pad_token_id)([{"input_ids": ids} for ids in texts])
        partners = torch.tensor([place[int(self.partners[row])] for row in rows])
        return {**padded, "partners": partners, "belonging": belonging}


def paired(rows: Sequence[Row], tokenizer: Any, spec: ModelSpec) -> PairTexts:
    """Rows as the bi-encoder's training reads them.

    To an anchor belong the partners of all rows with the same text and of the copies that noise or augmentation made
    of these, and the candidate that is the anchor's own text.
    """
    numbers: dict[str, int] = {}
    partners = np.array([numbers.setdefault(str(row.pair), len(numbers)) for row in rows], dtype=np.intp)
    families = _families(rows)
    theirs: dict[int, set[int]] = {}
    for family, partner, row in zip(families, partners.tolist(), rows, strict=True):
        theirs.setdefault(family, set()).add(partner)
        if row.text in numbers:
            theirs[family].add(numbers[row.text])
    return PairTexts(
        tokens([row.text for row in rows], spec.prefix, tokenizer, spec),
        {},
        tokenizer.pad_token_id or 0,
        candidates=tokens(list(numbers), spec.pair_prefix, tokenizer, spec),
        partners=partners,
        belongs=[np.array(sorted(theirs[family]), dtype=np.intp) for family in families],
    )


def tokens(texts: Sequence[str], prefix: str, tokenizer: Any, spec: ModelSpec) -> list[list[int]]:
    """Token ids of each text behind the prefix, cut at the model's longest length."""
    given = [prefix + text for text in texts]
    found: list[list[int]] = tokenizer(
        given, truncation=True, max_length=spec.max_length, return_token_type_ids=False, return_attention_mask=False
    )["input_ids"]
    return found


def _families(rows: Sequence[Row]) -> list[int]:
    """A number for each row, equal for rows linked by one anchor or one origin."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    keys: dict[tuple[str, str], int] = {}
    links = [
        (number, len(rows) + keys.setdefault(key, len(keys)))
        for number, row in enumerate(rows)
        for key in (("text", row.text), ("origin", row.augmented_from or row.origin))
    ]
    left, right = zip(*links, strict=True)
    size = len(rows) + len(keys)
    graph = coo_array((np.ones(len(links)), (left, right)), shape=(size, size))
    families: list[int] = connected_components(graph, directed=False)[1][: len(rows)].tolist()
    return families


def vectors(model: TextEncoder, ids: list[list[int]], pad_token_id: int) -> NDArray[np.float64]:
    """Unit vectors of tokenised texts, shape (texts, width)."""
    from engine.tuning.probe import embedded

    return unit(embedded(model, Rows(ids, {}, pad_token_id)))


def outputs(model: BiEncoder, rows: Sequence[Row], tokenizer: Any, spec: ModelSpec) -> dict[str, list[Output]]:
    """Vectors of each row's text and partner, as `retrieval.Vector` reads them. Computed in fp32."""
    sides = []
    for texts, prefix in (
        ([row.text for row in rows], spec.prefix),
        ([str(row.pair) for row in rows], spec.pair_prefix),
    ):
        place = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        found = vectors(model, tokens(list(place), prefix, tokenizer, spec), tokenizer.pad_token_id or 0)
        sides.append(found[[place[text] for text in texts]])
    return {spec.heads[0].name: [Output(both) for both in np.stack(sides, axis=1)]}


def load(folder: Path) -> BiEncoder:
    """The stored model in a version's `model/`, ready to answer."""
    from engine.tuning import adapters

    model = BiEncoder(adapters.with_adapter(load_encoder(folder), folder), ModelSpec.read(folder).heads)
    model.eval()
    return model

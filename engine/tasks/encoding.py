"""Encoding: rows -> token ids and target numbers, and batches padded to their longest row. What Trainer reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.data.batches import Share, TokenBudgetSampler
from engine.data.rows import Row
from engine.tasks import extract, kinds, tag
from engine.tasks.heads import HeadSpec, ModelSpec
from engine.tasks.kinds import Output, without_prefix

MISSING = -100
"""Label of a head that a row (or token) does not answer, in the tensors; for numbers it is NaN."""


@dataclass
class Rows:
    """Tokenised rows and their targets."""

    input_ids: list[list[int]]
    targets: dict[str, Any]
    """Head -> array of labels (rows,), of label vectors (rows, labels), or a list of arrays of differing length."""
    pad_token_id: int = 0
    offsets: list[NDArray[np.int64]] = field(default_factory=list)
    parts: list[NDArray[np.int64]] = field(default_factory=list)
    """Characters and part of each token, where a head answers for tokens (see `kinds.Output`)."""
    queries: NDArray[np.int64] | None = None
    """Number of each row's query, where texts are ranked."""
    taught: dict[str, Tensor] = field(default_factory=dict)
    """A teacher's outputs for each row, where there is one (see `tuning.distill`)."""
    states: list[NDArray[np.float32]] = field(default_factory=list)
    """What frozen layers leave of each row, shape (tokens, width), where that is remembered (see `tuning.lower`)."""

    def __len__(self) -> int:
        return len(self.input_ids)

    @property
    def lengths(self) -> list[int]:
        return [len(ids) for ids in self.input_ids]

    def __getitem__(self, row: int) -> dict[str, Any]:
        item = {
            "input_ids": self.input_ids[row],
            **{f"labels_{name}": values[row] for name, values in self.targets.items()},
        }
        item |= {f"taught_{name}": values[row] for name, values in self.taught.items()}
        if self.states:
            item["states"] = self.states[row]
        return item if self.queries is None else {**item, "queries": self.queries[row]}

    def sampler(self, batch_tokens: int, *, seed: int, share: Share) -> TokenBudgetSampler:
        """The order in which training reads the rows, and in what batches."""
        return TokenBudgetSampler(self.lengths, batch_tokens, seed=seed, queries=self.queries, share=share)

    def collator(self) -> Callable[[list[dict[str, Any]]], dict[str, Tensor]]:
        """Makes one padded batch of some of the rows."""
        return Collator(self.pad_token_id)

    def output(self, row: int, logits: NDArray[np.float64]) -> Output:
        """A row's logits with what their decoding needs; padding is cut off."""
        if not self.offsets:
            return Output(logits)
        if logits.ndim == 1:
            return Output(logits)
        return Output(logits[: len(self.input_ids[row])], self.offsets[row], self.parts[row])

    def taken(self, numbers: Sequence[int]) -> Rows:
        """Some of the rows, in the order given."""

        def pick(values: Any) -> Any:
            return (
                values[np.asarray(numbers, dtype=np.intp)] if isinstance(values, np.ndarray) else _some(values, numbers)
            )

        return Rows(
            _some(self.input_ids, numbers),
            {name: pick(values) for name, values in self.targets.items()},
            self.pad_token_id,
            _some(self.offsets, numbers) if self.offsets else [],
            _some(self.parts, numbers) if self.parts else [],
            None if self.queries is None else self.queries[np.asarray(numbers, dtype=np.intp)],
        )


@dataclass(frozen=True)
class Collator:
    """Pads a batch to its longest row; targets over tokens likewise."""

    pad_token_id: int

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        longest = max(len(row["input_ids"]) for row in rows)
        input_ids = torch.full((len(rows), longest), self.pad_token_id)
        mask = torch.zeros((len(rows), longest), dtype=torch.long)
        for index, row in enumerate(rows):
            length = len(row["input_ids"])
            input_ids[index, :length] = torch.tensor(row["input_ids"])
            mask[index, :length] = 1
        batch = {"input_ids": input_ids, "attention_mask": mask}
        for key in rows[0]:
            if key == "states":
                batch[key] = torch.nn.utils.rnn.pad_sequence([torch.tensor(row[key]) for row in rows], batch_first=True)
            elif key != "input_ids":
                batch[key] = _stacked([row[key] for row in rows])
        return batch


def encoded(rows: Sequence[Row], tokenizer: Any, spec: ModelSpec) -> Rows:
    """Rows as Trainer reads them, cut at the model's longest length (of a pair, the second text gives way)."""
    over_tokens = any(head.kind in ("tags", "span") for head in spec.heads)
    pairs = [row.pair for row in rows]
    texts = [spec.prefix + row.text for row in rows]
    found = Rows([], {}, tokenizer.pad_token_id or 0)
    if rows:
        second = {"text_pair": pairs} if pairs[0] is not None else {}
        cut = "longest_first" if spec.task != "extract" else "only_second"
        out = tokenizer(
            texts, **second, truncation=cut, max_length=spec.max_length, return_offsets_mapping=over_tokens,
            return_token_type_ids=False, return_attention_mask=False,
        )  # fmt: skip
        found.input_ids = out["input_ids"]
        if over_tokens:
            for row in range(len(rows)):
                parts = [-1 if part is None else part for part in out.sequence_ids(row)]
                offsets, placed = without_prefix(out["offset_mapping"][row], parts, len(spec.prefix))
                found.offsets.append(offsets)
                found.parts.append(placed)
    for head in spec.heads:
        found.targets[head.name] = _targets(head, rows, found)
    if spec.task == "rank":
        numbers: dict[str, int] = {}
        found.queries = np.array([numbers.setdefault(row.text, len(numbers)) for row in rows], dtype=np.int64)
    return found


def _targets(head: HeadSpec, rows: Sequence[Row], found: Rows) -> Any:
    labels = [row.labels.get(head.name) for row in rows]
    present = kinds.answered(head, rows)
    match head.kind:
        case "multi":
            values: Any = np.full((len(rows), len(head.labels)), MISSING, dtype=np.float32)
            place = {label: number for number, label in enumerate(head.labels)}
            for row in present:
                values[row] = 0.0
                values[row, [place[label] for label in labels[row]]] = 1.0
            return values
        case "regression" | "relevance":
            return np.array([np.nan if label is None else label for label in labels], dtype=np.float32)
        case "tags":
            return [
                np.full(len(found.input_ids[row]), MISSING)
                if label is None
                else tag.token_labels(head, label, rows[row].text, found.offsets[row], found.parts[row])
                for row, label in enumerate(labels)
            ]
        case "span":
            values = np.full((len(rows), 2), MISSING, dtype=np.int64)
            for row in present:
                values[row] = extract.target(labels[row], found.offsets[row], found.parts[row])
            return values
        case _:
            place = {label: number for number, label in enumerate(head.labels)}
            return np.array([MISSING if label is None else place[label] for label in labels], dtype=np.int64)


def _stacked(values: list[Any]) -> Tensor:
    """One tensor of a batch's targets; targets over tokens are padded with MISSING."""
    arrays = [torch.as_tensor(value) for value in values]
    if arrays[0].ndim == 1 and len({len(array) for array in arrays}) > 1:
        return torch.nn.utils.rnn.pad_sequence(arrays, batch_first=True, padding_value=MISSING)
    return torch.stack(arrays)


def _some(values: Sequence[Any], numbers: Sequence[int]) -> list[Any]:
    return [values[number] for number in numbers]

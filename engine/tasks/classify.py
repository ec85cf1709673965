"""Classify: several heads on one encoder, each single-label (softmax) or multi-label (a sigmoid a label).

A row may lack a head's label; the loss of that head is then masked for the row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.base_models import BaseModel
from engine.data.sources import Row
from engine.evaluate import truth
from engine.recipe import Recipe
from engine.tasks.heads import HeadSpec, ModelSpec, specs

WEIGHTS = "heads.safetensors"
MISSING = -100
"""Label of a head that a row does not answer, in the tensors."""


class Classifier(nn.Module):
    """Encoder -> mean over the tokens -> one linear layer a head.

    Args:
        encoder: any transformers encoder with `last_hidden_state`.
        heads: name -> number of labels and kind, in the order of the outputs.
        loss_weights: head -> weight of its loss in the sum.
        class_weights: head -> weight of each label, shape (labels,).
    """

    def __init__(
        self,
        encoder: Any,
        heads: Sequence[HeadSpec],
        *,
        dropout: float = 0.0,
        label_smoothing: float = 0.0,
        loss_weights: Mapping[str, float] | None = None,
        class_weights: Mapping[str, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.specs = tuple(heads)
        self.dropout = nn.Dropout(dropout)
        self.width = int(encoder.config.hidden_size)
        layers = {head.name: nn.Linear(self.width, len(head.labels)) for head in heads}
        for layer in layers.values():
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
        self.heads = nn.ModuleDict(layers)
        self.label_smoothing = label_smoothing
        self.loss_weights = dict(loss_weights or {})
        for name, weights in (class_weights or {}).items():
            self.register_buffer(f"class_weights_{name}", weights, persistent=False)

    def embed(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Mean of the last hidden states over the tokens, shape (rows, width)."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        pooled: Tensor = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
        return pooled

    def forward(self, input_ids: Tensor, attention_mask: Tensor, **labels: Tensor) -> dict[str, Tensor]:
        """Logits a head as `logits_<head>`, shape (rows, labels); with `labels_<head>` given, `loss` too."""
        pooled = self.dropout(self.embed(input_ids, attention_mask))
        logits = {head.name: self.heads[head.name](pooled) for head in self.specs}
        outputs = {f"logits_{name}": value for name, value in logits.items()}
        if labels:
            loss = torch.stack(
                [self._head_loss(head, logits[head.name], labels[f"labels_{head.name}"]) for head in self.specs]
            )
            outputs = {"loss": loss.sum(), **outputs}
        return outputs

    def _head_loss(self, head: HeadSpec, logits: Tensor, labels: Tensor) -> Tensor:
        class_weights = getattr(self, f"class_weights_{head.name}", None)
        weight = self.loss_weights.get(head.name, 1.0)
        present = labels.reshape(len(labels), -1)[:, 0] != MISSING
        if not bool(present.any()):
            return logits.sum() * 0.0
        if not head.multi_label:
            return weight * F.cross_entropy(
                logits, labels, weight=class_weights, ignore_index=MISSING, label_smoothing=self.label_smoothing
            )
        targets = labels[present] * (1 - self.label_smoothing) + self.label_smoothing / 2
        # Summed over labels: the mean over many labels, most of them absent, would starve the encoder of this head.
        losses = F.binary_cross_entropy_with_logits(
            logits[present], targets, pos_weight=class_weights, reduction="none"
        )
        return weight * losses.sum(-1).mean()


@dataclass
class Rows:
    """Tokenised rows and their labels: what Trainer reads."""

    input_ids: list[list[int]]
    labels: dict[str, Any]
    """Head -> int64 array (rows,), or float32 array (rows, labels) for a multi-label head."""

    def __len__(self) -> int:
        return len(self.input_ids)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {
            "input_ids": self.input_ids[row],
            **{f"labels_{name}": values[row] for name, values in self.labels.items()},
        }


@dataclass(frozen=True)
class Collator:
    """Pads a batch to its longest row."""

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
            if key.startswith("labels_"):
                batch[key] = torch.stack([torch.as_tensor(row[key]) for row in rows])
        return batch


def tokenised(rows: Sequence[Row], tokenizer: Any, spec: ModelSpec) -> Rows:
    """Rows as Trainer reads them, cut at the model's longest length."""
    texts = [spec.prefix + row.text for row in rows]
    input_ids = tokenizer(texts, truncation=True, max_length=spec.max_length)["input_ids"] if texts else []
    labels: dict[str, Any] = {}
    for head in spec.heads:
        present, values = truth.of_head(head, [row.labels.get(head.name) for row in rows])
        shape = (len(rows), len(head.labels)) if head.multi_label else (len(rows),)
        labels[head.name] = np.full(shape, MISSING, dtype=np.float32 if head.multi_label else np.int64)
        labels[head.name][present] = values
    return Rows(input_ids, labels)


def build(recipe: Recipe, base: BaseModel, train: Rows) -> Classifier:
    """An untrained classifier on the base's encoder; class weights come from the labels of `train`."""
    heads = recipe.task.heads
    weights = {
        name: torch.tensor(
            _class_weights(train.labels[name], len(head.labels), head.class_weights), dtype=torch.float32
        )
        for name, head in heads.items()
        if head.class_weights != "none" and not head.multi_label
    }
    return Classifier(
        load_encoder(base.folder),
        specs(heads),
        dropout=recipe.tuning.dropout,
        label_smoothing=recipe.tuning.label_smoothing,
        loss_weights={name: head.weight for name, head in heads.items()},
        class_weights=weights,
    )


def load_encoder(folder: Path) -> Any:
    """The encoder in a Hugging Face folder, in float32."""
    import transformers

    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # its notes and bars would break ours
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    config = transformers.AutoConfig.from_pretrained(folder)
    bare = {"add_pooling_layer": False} if config.model_type in {"bert", "roberta", "xlm-roberta", "electra"} else {}
    # Short texts on CPUs: the plain form of attention trains a tenth faster than the fused one (measured).
    attention = {} if torch.cuda.is_available() else {"attn_implementation": "eager"}
    return transformers.AutoModel.from_pretrained(folder, dtype=torch.float32, **attention, **bare)


def save(model: Classifier, tokenizer: Any, spec: ModelSpec, folder: Path) -> None:
    """Write `model/` of a version: the encoder as AutoModel reads it, `heads.safetensors`, `heads.json`."""
    from safetensors.torch import save_file

    model.encoder.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    save_file({name: value.contiguous() for name, value in model.heads.state_dict().items()}, folder / WEIGHTS)
    spec.write(folder)


def load(folder: Path) -> Classifier:
    """The classifier that `save` wrote, ready to answer."""
    from safetensors.torch import load_file

    model = Classifier(load_encoder(folder), ModelSpec.read(folder).heads)
    model.heads.load_state_dict(load_file(folder / WEIGHTS))
    return model.eval()


def _class_weights(labels: Any, count: int, kind: str) -> Any:
    seen = np.bincount(labels[labels != MISSING], minlength=count).clip(min=1)
    weights = (1.0 / seen) ** (0.5 if kind == "sqrt" else 1.0)
    return weights / (weights * seen).sum() * seen.sum()
